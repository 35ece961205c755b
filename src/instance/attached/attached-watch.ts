import { join } from "node:path";
import { readLocalSystem } from "../../agent/local-system.ts";
import { archiveCommandLine, quoteForCommandSetting } from "../../agent/shell-text.ts";
import { spoolRootOf } from "../../agent/spool.ts";
import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { connect } from "../../postgres/connection.ts";
import { readPostmasterFile } from "../../postgres/server-state.ts";
import { formatSystemIdentifier } from "../../postgres/system-identifier.ts";
import { failureOf } from "../process/failure.ts";
import { KeptFacts } from "../process/kept-facts.ts";
import { attachedConnection } from "./attached-connection.ts";
import { readAttachedFacts } from "./attached-facts.ts";
import type { AttachedSpec } from "./attached-spec.ts";
import type { AttachedPostgres, AttachedStatus } from "./attached-status.ts";

const stopLookMs = 1000;

/** What can be seen of a server from outside: its control file, and what it says over a session of our own. */
export class AttachedWatch {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  #spec: AttachedSpec;
  #facts: KeptFacts<AttachedPostgres | undefined, string | undefined>;

  constructor(deps: { readonly clock: Clock; readonly log: Log }, spec: AttachedSpec) {
    this.#deps = deps;
    this.#spec = spec;
    this.#facts = this.#factsOf(spec);
  }

  /** Looks where this specification says from now on. */
  async follow(spec: AttachedSpec): Promise<void> {
    const isSame = whereOf(spec) === whereOf(this.#spec);
    this.#spec = spec;
    if (isSame) {
      this.#facts.outdate();
      return;
    }
    const former = this.#facts;
    this.#facts = this.#factsOf(spec);
    await former.close();
  }

  /** At most a few seconds old. Never throws. */
  async report(): Promise<
    Pick<AttachedStatus, "systemIdentifier" | "archiveCommand" | "postgres" | "postgresError">
  > {
    const { dataDirectory, spoolDirectory } = this.#spec;
    const system = await readLocalSystem(dataDirectory).catch((error: unknown) => {
      this.#deps.log.debug("could not read the control file", { error: describeError(error) });
      return undefined;
    });
    const root = system && spoolRootOf(spoolDirectory, system.systemIdentifier);
    const facts = this.#facts;
    const postgres = await facts.get(root && quoteForCommandSetting(join(root, "archive.sh")));
    return {
      systemIdentifier: system && formatSystemIdentifier(system.systemIdentifier),
      archiveCommand: root && archiveCommandLine(root),
      postgres,
      postgresError:
        postgres === undefined && facts.failure !== undefined ? failureOf(facts.failure) : undefined,
    };
  }

  /**
   * Ends the session when the server is being stopped, until the signal fires: a smart stop (`SIGTERM`) lets nobody in any more, and
   * waits for those who are in. Nobody else may be asking just then. Never rejects.
   */
  async holdUpNoStop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const running = await readPostmasterFile(this.#spec.dataDirectory).catch(() => undefined);
      if (running?.status === "stopping") await this.#facts.release();
      await this.#deps.clock.sleep(stopLookMs, signal).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#facts.close();
  }

  #factsOf(spec: AttachedSpec): KeptFacts<AttachedPostgres | undefined, string | undefined> {
    return new KeptFacts({
      ...this.#deps,
      connect: async (signal) =>
        connect({ ...(await attachedConnection(spec)), applicationName: "tidemark server", signal }),
      read: readAttachedFacts,
    });
  }
}

/** What a session depends on. */
function whereOf({ dataDirectory, connection }: AttachedSpec): string {
  return JSON.stringify([dataDirectory, connection]);
}
