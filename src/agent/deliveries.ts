import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { describeError, EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { startPush, worstFailure, type PushContext, type WalPush } from "../archive/push-wal.ts";
import type { PushOutcome } from "../archive/store-wal.ts";
import { addressesOf } from "./ack-scope.ts";
import type { Acks } from "./ack.ts";
import type { BacklogEntry, Job } from "./backlog.ts";
import { retryAfterMs } from "./file-fault.ts";
import type { OwedBook } from "./owed-book.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";

export interface DeliveryOptions {
  readonly walDirectory: string;
  readonly acks: Acks;
  readonly owed: OwedBook;
  readonly lanes: RepositoryLanes;
  readonly targets: readonly ArchiveTarget[];
  readonly expected: ExpectedSystem;
  readonly context: PushContext;
  readonly clock: Clock;
  /** Ends pushes under way. */
  readonly abort: AbortSignal;
  /** The file is acknowledged, durably; or an acknowledgement of an earlier agent still holds (`bytes` is undefined then). */
  readonly onAcknowledged: (entry: BacklogEntry, bytes: number | undefined) => Promise<void>;
  /** It cannot be acknowledged now. `isLocal`: for a reason on this machine, not in a repository. */
  readonly onFailed: (entry: BacklogEntry, error: EngineError, isLocal: boolean) => Promise<void>;
  /** A repository has room again. */
  readonly onRoom: () => void;
}

/** While PostgreSQL waits for a file it is not read a second time for so long: the first read's bytes are still held. */
const heldMs = 2000;

/**
 * Brings files to repositories. A file is acknowledged at the moment at which those that have it meet the policy; to the
 * slower ones it goes on from memory. What they are still without is noted before the acknowledgement is given
 * (`owed-book.ts`), and the note goes when they have it.
 */
export class Deliveries {
  readonly #options: DeliveryOptions;
  readonly #running = new Set<Promise<void>>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Files on their way, those included that only slower repositories still wait for. */
  get count(): number {
    return this.#running.size;
  }

  /** Resolves when none is on its way any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  start(job: Job): void {
    const { entry, repositories } = job;
    const { lanes, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    entry.heldUntilMs = nowMs + heldMs;
    for (const name of repositories) {
      entry.onTheWay.add(name);
      lanes.get(name)?.begin(entry.file.name, nowMs);
    }
    const running = this.#deliver(job).finally(() => {
      this.#running.delete(running);
      this.#options.onRoom();
    });
    this.#running.add(running);
  }

  async #deliver({ entry, repositories }: Job): Promise<void> {
    const { walDirectory, acks, targets, expected, context, abort, onAcknowledged, onFailed } = this.#options;
    const report = async (cause: unknown) => {
      const error =
        cause instanceof EngineError ? cause : new EngineError("internal", describeError(cause), { cause });
      await inTurn(entry, async () => onFailed(entry, error, true));
    };
    let push: WalPush;
    try {
      const path = join(walDirectory, entry.file.name);
      // Acknowledged before the agent was restarted, and unchanged since.
      if (entry.fingerprint === undefined && (await acks.covers(entry.file.name, path))) {
        await inTurn(entry, async () => onAcknowledged(entry, undefined));
        for (const name of repositories) this.#left(entry, name);
        return;
      }
      push = await startPush(context, {
        path,
        file: entry.file,
        targets: repositories.flatMap(
          (name) => targets.find((target) => target.repository.name === name) ?? [],
        ),
        expected,
        signal: abort,
      });
    } catch (cause) {
      await report(cause);
      for (const name of repositories) this.#left(entry, name);
      return;
    }
    const writing = fingerprintOf(push);
    if (entry.fingerprint !== writing) entry.done = new Set();
    entry.fingerprint = writing;
    const failures: EngineError[] = [];
    const reported = new Set<unknown>();
    await Promise.all(
      repositories.map(async (name, index) => {
        try {
          const outcome = await push.outcomes[index];
          this.#left(entry, name);
          if (outcome !== undefined) await this.#follow(entry, push, outcome, failures);
        } catch (cause) {
          // What is wrong with the file all of them say.
          if (!reported.has(cause)) {
            reported.add(cause);
            await report(cause);
          }
          this.#left(entry, name);
        }
      }),
    );
    await push.release();
  }

  #left(entry: BacklogEntry, name: string): void {
    const { lanes, clock } = this.#options;
    if (entry.onTheWay.delete(name)) lanes.get(name)?.end(entry.file.name, clock.monotonicMs());
  }

  /** Acts on how one repository stands. */
  async #follow(
    entry: BacklogEntry,
    push: WalPush,
    outcome: PushOutcome,
    failures: EngineError[],
  ): Promise<void> {
    const { lanes, owed, clock, onFailed, onRoom } = this.#options;
    const name = outcome.repository;
    const isDone = outcome.kind !== "failed";
    lanes.note(name, isDone ? undefined : outcome.error);
    // Of the file as it was written then: written anew, it is another one.
    if (isDone && entry.fingerprint === fingerprintOf(push)) {
      entry.done.add(name);
      lanes.get(name)?.stored(entry.file, clock.now());
      onRoom();
    }
    if (!isDone) {
      failures.push(outcome.error);
      // At once, or it would be begun again before its failure has been acted on.
      entry.retryAtMs = clock.monotonicMs() + retryAfterMs(outcome.error, entry.failures);
    }
    const isStillPossible = lanes.isEnough(new Set([...entry.done, ...entry.onTheWay]));
    await inTurn(entry, async () => {
      if (entry.fingerprint !== fingerprintOf(push)) return;
      if (entry.state === "acknowledged") {
        if (isDone) await owed.pay(entry.file.name, name);
        return;
      }
      if (lanes.isEnough(entry.done)) return this.#acknowledge(entry, push);
      // What failed before has been told.
      if (isStillPossible || (isDone && failures.length > 0)) return;
      const error =
        worstFailure(failures) ??
        new EngineError("wal-timeout", `WAL file "${entry.file.name}" is not everywhere yet`);
      await onFailed(entry, error, false);
    });
    onRoom();
  }

  async #acknowledge(entry: BacklogEntry, push: WalPush): Promise<void> {
    const { acks, owed, lanes, targets, onAcknowledged } = this.#options;
    const { file, sizeBytes, mtimeNs } = push;
    try {
      const checksum = await push.checksum();
      await push.release();
      const missing = lanes.names.filter((name) => !entry.done.has(name));
      // Before the acknowledgement: afterwards PostgreSQL forgets the file.
      if (missing.length > 0) await owed.write({ file, sizeBytes, mtimeNs, repositories: missing });
      faultPoint("agent:before-ack");
      const repositories = addressesOf(targets.filter(({ repository }) => entry.done.has(repository.name)));
      await acks.write({ name: file.name, sizeBytes, mtimeNs, checksum, repositories });
      faultPoint("agent:after-ack");
      entry.state = "acknowledged";
    } catch (error) {
      // Nothing may be left to push, so without this nothing would ever be tried again: the next turn compares and writes anew.
      entry.done = new Set();
      entry.fingerprint = undefined;
      throw error;
    }
    await onAcknowledged(entry, sizeBytes);
  }
}

const fingerprintOf = ({ sizeBytes, mtimeNs }: WalPush): string => `${sizeBytes}:${mtimeNs}`;

/** What is found out about one file is acted on one after the other. */
async function inTurn(entry: BacklogEntry, act: () => Promise<void>): Promise<void> {
  const turn = entry.turn.then(act);
  entry.turn = turn.catch(() => undefined);
  return turn;
}
