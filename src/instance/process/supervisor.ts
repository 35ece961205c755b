import type { Clock } from "../../common/clock.ts";
import { describeError, EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { RunningServer, StopMode } from "../../postgres/server-running.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import type { InstanceStatus } from "../instance-status.ts";
import { serverEnded } from "./describe-end.ts";
import { InstanceLife } from "./instance-life.ts";
import { nextStep, type Step, type StepFacts } from "./next-step.ts";
import type { ServerActions } from "./server-actions.ts";
import { ServerWatch } from "./server-watch.ts";
import { WakeUp } from "../../common/wake-up.ts";

export interface SupervisorOptions {
  readonly spec: InstanceSpec;
  /** How a recovery bootstrap went that is over already. */
  readonly recovery: InstanceStatus["recovery"];
  readonly actions: ServerActions;
  /** The data directory is there, and this is what is to be done with it: called again with every specification. */
  readonly onMade: (spec: InstanceSpec) => void;
  /** The server is about to be stopped, for this reason. */
  readonly beforeStop: (reason: EngineError) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the status says of the server's life. */
export type SupervisorReport = Pick<
  InstanceStatus,
  "specVersion" | "phase" | "bootstrapped" | "activity" | "error" | "retryAt" | "recovery" | "postgres"
>;

/** A server that runs, as far as we know. */
interface HeldServer {
  readonly process: RunningServer;
  readonly watch: ServerWatch;
  /** Since when it accepts connections; undefined before. */
  readyAtMs: number | undefined;
}

/** What only somebody's decision can change is tried again, but not often. */
const refusedPauseMs = 60_000;
const waitingForServer = "waiting until the server accepts connections";

/**
 * Brings one server to what its specification says, and keeps it there: a loop that looks at what is, takes the next small
 * step, and sleeps until there is news. Everything that others ask for only changes what it looks at.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #life: InstanceLife;
  readonly #news: WakeUp;
  readonly #over = Promise.withResolvers<void>();
  /** Fires when the process is to end. */
  readonly #end = new AbortController();
  #spec: InstanceSpec;
  /** The one that the server has been told of. */
  #told: InstanceSpec | undefined;
  #recovery: InstanceStatus["recovery"];
  #ending: StepFacts["ending"] = "no";
  #stopMode: StopMode = "fast";
  #isMade = false;
  #server: HeldServer | undefined;
  #stopping: RunningServer | undefined;
  #attempt: { readonly key: string; readonly abort: AbortController } | undefined;
  readonly #restarts: PromiseWithResolvers<void>[] = [];
  #isRestartAsked = false;
  #promoting: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#spec = options.spec;
    this.#recovery = options.recovery;
    this.#life = new InstanceLife(options);
    this.#news = new WakeUp(options.clock);
    // Its waiters see it; without any it is no failure that nobody knows of, because `run` throws it as well.
    this.#over.promise.catch(() => undefined);
  }

  get spec(): InstanceSpec {
    return this.#spec;
  }

  /** The server, while it accepts connections. */
  get server(): RunningServer | undefined {
    return this.#server?.readyAtMs === undefined ? undefined : this.#server.process;
  }

  async report(): Promise<SupervisorReport> {
    const { commandLine } = this.#options.actions;
    const postgres = this.server === undefined ? undefined : await this.#server?.watch.status(commandLine);
    return {
      specVersion: this.#spec.version,
      ...this.#life.report,
      bootstrapped: this.#isMade,
      recovery: this.#recovery,
      postgres,
    };
  }

  /** Runs until `leave` or `stop`; the server is then released or gone. Throws when it could not be stopped. */
  async run(): Promise<void> {
    try {
      await this.#adopt().catch((error: unknown) => this.#life.fail("could not look for the server", error));
      for (;;) {
        const step = nextStep(await this.#look());
        if (step === "end") break;
        if (step === "rest") await this.#rest();
        else await this.#take(step);
      }
      await this.#server?.watch.close();
      this.#server?.process.release();
      this.#refuseRestarts(this.#noServer("it cannot be restarted"));
      this.#over.resolve();
    } catch (error) {
      this.#over.reject(error);
      throw error;
    }
  }

  /** Follows another specification from now on. What failed before is tried again at once. */
  configure(spec: InstanceSpec): void {
    this.#spec = spec;
    if (this.#attempt !== undefined && this.#attempt.key !== attemptKey(spec)) {
      this.#attempt.abort.abort(new EngineError("aborted", "the specification has changed"));
    }
    this.#life.retryNow();
    this.#news.notify();
  }

  /** Restarts the server, or starts it now when it rests after a failure; resolves when it accepts connections again. */
  async restart(): Promise<void> {
    if (this.#spec.wanted === "stopped" || this.#ending !== "no" || this.#attempt !== undefined) {
      throw this.#noServer("it cannot be restarted");
    }
    const waiter = Promise.withResolvers<void>();
    this.#restarts.push(waiter);
    this.#isRestartAsked = this.#server !== undefined;
    this.#life.retryNow();
    this.#news.notify();
    return waiter.promise;
  }

  /** Makes a standby a primary; resolves when it accepts writes, at once for one that does already. */
  async promote(): Promise<void> {
    this.#promoting ??= this.#promote().finally(() => {
      this.#promoting = undefined;
    });
    return this.#promoting;
  }

  /** Stops the server and ends `run`. Resolves when the server is gone. Asked again, it may be less patient. */
  async stop(mode: StopMode): Promise<void> {
    this.#stopMode = mode;
    this.#endWith("stop");
    await this.#stopping?.stop(mode);
    return this.#over.promise;
  }

  /** Ends `run` and leaves the server running. */
  leave(): void {
    if (this.#ending === "no") this.#endWith("leave");
  }

  #endWith(ending: StepFacts["ending"]): void {
    this.#ending = ending;
    const reason = new EngineError("aborted", "the instance's process ends");
    this.#end.abort(reason);
    this.#attempt?.abort.abort(reason);
    this.#news.notify();
  }

  async #look(): Promise<StepFacts> {
    this.#isMade = this.#server !== undefined || (await this.#options.actions.isMade());
    const server = this.#server;
    // A server that runs first: until it is told of an archive, it takes for archived what it has not given away.
    const known = server === undefined ? this.#spec : this.#told;
    if (this.#isMade && known !== undefined) this.#options.onMade(known);
    return {
      ending: this.#ending,
      wanted: this.#spec.wanted,
      isMade: this.#isMade,
      server: server === undefined ? "none" : server.readyAtMs === undefined ? "starting" : "ready",
      isResting: this.#life.restMs > 0,
      isRestartAsked: this.#isRestartAsked,
      isChanged: this.#told !== this.#spec,
    };
  }

  async #rest(): Promise<void> {
    if (this.#server === undefined && this.#spec.wanted === "stopped") {
      this.#life.show("stopped");
      this.#refuseRestarts(this.#noServer("it cannot be restarted"));
    }
    const { restMs } = this.#life;
    await this.#news.wait(restMs > 0 ? restMs : Number.POSITIVE_INFINITY);
  }

  async #take(step: Exclude<Step, "end" | "rest">): Promise<void> {
    switch (step) {
      case "bootstrap":
        return this.#bootstrap();
      case "start":
        return this.#start();
      case "stop":
        return this.#stop(this.#ending === "stop" ? this.#stopMode : "fast");
      case "restart":
        this.#isRestartAsked = false;
        return this.#stop("fast");
      case "configure":
        return this.#configure();
    }
  }

  async #bootstrap(): Promise<void> {
    const spec = this.#spec;
    const attempt = { key: attemptKey(spec), abort: new AbortController() };
    this.#attempt = attempt;
    this.#life.show("bootstrapping");
    try {
      this.#recovery = await this.#options.actions.bootstrap(spec, {
        signal: attempt.abort.signal,
        onActivity: (activity) => this.#life.say(activity),
        onPlan: (plan) => {
          this.#recovery = plan;
        },
      });
      this.#life.retryNow();
    } catch (error) {
      if (attempt.abort.signal.aborted) return;
      const isRefused = error instanceof EngineError && !error.retryable;
      this.#life.fail("could not make the data directory", error, {
        atLeastMs: isRefused ? refusedPauseMs : 0,
      });
    } finally {
      this.#attempt = undefined;
    }
  }

  /** One that an earlier process left running, whatever is wanted now. */
  async #adopt(): Promise<void> {
    const { actions, log } = this.#options;
    const server = await actions.adopt();
    if (server === undefined) return;
    log.info("took up the server that runs already", { pid: server.pid });
    this.#life.show("starting", waitingForServer);
    this.#hold(server);
  }

  async #start(): Promise<void> {
    const { actions, log } = this.#options;
    const spec = this.#spec;
    this.#life.show("starting", "starting the server");
    try {
      await this.#adopt();
      if (this.#server !== undefined) return;
      const server = await actions.start(spec, this.#end.signal);
      this.#told = spec;
      this.#life.say(waitingForServer);
      log.info("started the server", { pid: server.pid });
      this.#hold(server);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      this.#life.fail("could not start the server", error);
      this.#refuseRestarts(error);
    }
  }

  #hold(process: RunningServer): void {
    const server: HeldServer = {
      process,
      watch: new ServerWatch(process, this.#options),
      readyAtMs: undefined,
    };
    this.#server = server;
    // Neither rejects: that a server ends before it is ready is for the first to say.
    void process.exited.then(async () => this.#onExit(server));
    void process.waitUntilReady({ signal: this.#end.signal }).then(
      () => this.#onReady(server),
      () => undefined,
    );
  }

  #onReady(server: HeldServer): void {
    if (this.#server !== server) return;
    server.readyAtMs = this.#options.clock.monotonicMs();
    this.#life.show("running");
    this.#options.log.info("the server accepts connections", { pid: server.process.pid });
    if (!this.#isRestartAsked) for (const { resolve } of this.#restarts.splice(0)) resolve();
    this.#news.notify();
  }

  /** Of a server that nobody here has stopped. Never rejects. */
  async #onExit(server: HeldServer): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const error = await serverEnded(server.process);
    if (this.#server !== server) return;
    this.#server = undefined;
    this.#isRestartAsked = false;
    this.#life.fail("the server has ended", error, { ranMs: nowMs - (server.readyAtMs ?? nowMs) });
    this.#refuseRestarts(error);
    await server.watch.close();
    this.#news.notify();
  }

  async #stop(mode: StopMode): Promise<void> {
    const { beforeStop, log } = this.#options;
    const server = this.#server;
    if (server === undefined) return;
    this.#life.show("stopping");
    // From here on its end is no news.
    this.#server = undefined;
    await beforeStop(new EngineError("aborted", `the server of instance "${this.#spec.name}" was stopped`));
    await server.watch.close();
    this.#stopping = server.process;
    const took = await server.process.stop(mode).finally(() => {
      this.#stopping = undefined;
    });
    log.info("stopped the server", { pid: server.process.pid, mode: took });
  }

  /** Writes the server's files and lets it read them; what it does not take up shows as `pendingRestart`. */
  async #configure(): Promise<void> {
    const { actions, log } = this.#options;
    const spec = this.#spec;
    const server = this.#server;
    this.#told = spec;
    if (server === undefined) return;
    try {
      await actions.configure(spec, this.#end.signal);
      await actions.reload(server.process, this.#end.signal);
      server.watch.outdate();
      log.info("the server reads its configuration again", { version: spec.version });
      this.#life.complain(undefined);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      log.error("could not configure the server", { error: describeError(error) });
      this.#life.complain(error);
    }
  }

  async #promote(): Promise<void> {
    const server = this.#server;
    if (server?.readyAtMs === undefined) throw this.#noServer("it cannot be promoted");
    await this.#options.actions.promote(this.#spec, server.process, this.#end.signal);
    server.watch.outdate();
  }

  #noServer(consequence: string): EngineError {
    return new EngineError(
      "postgres-failed",
      `instance "${this.#spec.name}" runs no server that accepts connections, so ${consequence}`,
    );
  }

  #refuseRestarts(error: unknown): void {
    for (const { reject } of this.#restarts.splice(0)) reject(error);
  }
}

/** What a bootstrap depends on: when it changes, one that is under way is begun anew. */
function attemptKey({ bootstrap, major, binDirectory, wanted }: InstanceSpec): string {
  return JSON.stringify([bootstrap, major, binDirectory, wanted]);
}
