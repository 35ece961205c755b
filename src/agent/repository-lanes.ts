import type { Clock } from "../common/clock.ts";
import { describeError, type EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { isFileFault } from "./file-fault.ts";
import { isPolicyMet, type ArchivePolicy } from "./archive-policy.ts";
import type { Availability } from "./backlog.ts";
import { RepositoryLane } from "./repository-lane.ts";

/** All repositories of one agent, and what pushes and repairs tell about each. */
export class RepositoryLanes implements Availability {
  readonly names: readonly string[];
  readonly #lanes: ReadonlyMap<string, RepositoryLane>;
  readonly #policy: ArchivePolicy;
  readonly #clock: Clock;
  readonly #log: Log;

  /** `limit`: files on the way to one repository at a time. */
  constructor(
    names: readonly string[],
    options: {
      readonly policy: ArchivePolicy;
      readonly limit: number;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    this.names = names;
    this.#lanes = new Map(names.map((name) => [name, new RepositoryLane(options.limit)]));
    this.#policy = options.policy;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  get(name: string): RepositoryLane | undefined {
    return this.#lanes.get(name);
  }

  isEnough(done: ReadonlySet<string>): boolean {
    return isPolicyMet(this.#policy, this.names, done);
  }

  hasRoom(name: string): boolean {
    return this.#lanes.get(name)?.hasRoom ?? false;
  }

  availableAtMs(name: string, nowMs: number): number {
    return this.#lanes.get(name)?.availableAtMs(nowMs) ?? Number.POSITIVE_INFINITY;
  }

  worthWaitingUntilMs(name: string, nowMs: number): number | undefined {
    return this.#lanes.get(name)?.worthWaitingUntilMs(nowMs);
  }

  /** Whether this file is being sent to this repository just now. */
  isOnTheWay(file: string, name: string): boolean {
    return this.#lanes.get(name)?.onTheWay.has(file) ?? false;
  }

  /** What a push or a repair tells about a repository. What is the file's own fault tells nothing. */
  note(name: string, error: EngineError | undefined): void {
    const health = this.#lanes.get(name)?.health;
    if (health === undefined) return;
    if (error === undefined) {
      if (health.report().state === "failing") this.#log.info("repository works again", { repository: name });
      health.succeeded();
    } else if (!isFileFault(error) && error.code !== "aborted" && error.code !== "wal-timeout") {
      if (health.report().state === "ok") {
        this.#log.warn("repository does not take WAL; it is tried again until it does", {
          repository: name,
          error: describeError(error),
        });
      }
      const clock = this.#clock;
      health.failed(error, { nowMs: clock.monotonicMs(), time: clock.now(), random: Math.random() });
    }
  }
}
