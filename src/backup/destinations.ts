import { throwIfAborted } from "../common/abort.ts";
import type { Clock } from "../common/clock.ts";
import { describeError, EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { formatDuration } from "../common/units.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { Repository } from "../repository/repository.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import { Destination } from "./destination.ts";
import { removeBackupObjects } from "./remove-backup.ts";

export interface DestinationsOptions {
  /** In their order; at least one. */
  readonly targets: readonly { readonly repository: Repository; readonly form: StoredForm }[];
  /** How many must get the backup; with fewer left it is given up. */
  readonly required: number;
  /** How long the others wait for a repository's answer, once one of them has answered. */
  readonly answerGraceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Gives the whole backup up. */
  readonly stop: AbortController;
  /** Fires for `stop` and for the caller. */
  readonly signal: AbortSignal;
}

/** Cleaning up may not take for ever: what is left is collected by the next backup. */
const cleanUpMs = 60_000;
/** How long the end of a backup that succeeded waits for it. */
const cleanUpPatienceMs = 10_000;

/**
 * The repositories of one backup. Each goes its own way: one that fails is dropped, with its reason, and the others go on, as long
 * as enough are left. What it has got by then is removed behind the others' backs.
 */
export class Destinations {
  readonly all: readonly Destination[];
  readonly #options: DestinationsOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #cleaning = new Map<Destination, Promise<void>>();
  #id: BackupId | undefined;

  constructor(options: DestinationsOptions) {
    this.#options = options;
    this.all = options.targets.map(
      ({ repository, form }) => new Destination(repository, form, options.signal),
    );
  }

  /** Those that have not been dropped. */
  get live(): readonly Destination[] {
    return this.all.filter(({ isLive }) => isLive);
  }

  /** Whether enough have the whole backup. */
  get isEnough(): boolean {
    return this.all.filter(({ isVisible }) => isVisible).length >= this.#options.required;
  }

  /** From now on there is something to remove in those that are dropped. */
  begin(id: BackupId): void {
    this.#id = id;
  }

  /** Calls `listener` whenever one is dropped. */
  onDrop(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Goes on without this one; gives the backup up when too few are left. Nothing happens when it is being given up already. */
  drop(destination: Destination, error: unknown): void {
    const { log, signal, stop, required } = this.#options;
    if (signal.aborted || !destination.isLive || destination.isVisible) return;
    destination.drop(error);
    if (this.live.length < required) {
      stop.abort(this.#tooFew());
    } else {
      log.warn("a repository is left out of the backup", {
        repository: destination.repository.name,
        error: describeError(error),
      });
      this.#cleaning.set(destination, this.#remove(destination));
    }
    for (const listener of this.#listeners) listener();
  }

  /**
   * Does the same for all at the same time, and drops those for which it fails; with `isAwaited` also those that answer much later
   * than the first. Throws when the backup is given up.
   */
  async each(
    fn: (destination: Destination) => Promise<void>,
    { isAwaited }: { readonly isAwaited: boolean } = { isAwaited: false },
  ): Promise<void> {
    const waiting = new Set(this.live);
    const over = new AbortController();
    let limit: Promise<void> | undefined;
    const one = async (destination: Destination) => {
      try {
        await destination.whileLive(fn(destination));
        waiting.delete(destination);
        if (isAwaited && waiting.size > 0) limit ??= this.#dropLate(waiting, over.signal);
      } catch (error) {
        waiting.delete(destination);
        this.drop(destination, error);
      }
    };
    await Promise.all([...waiting].map(one));
    over.abort();
    await limit;
    throwIfAborted(this.#options.signal);
  }

  async #dropLate(waiting: ReadonlySet<Destination>, over: AbortSignal): Promise<void> {
    const { clock, answerGraceMs } = this.#options;
    try {
      await clock.sleep(answerGraceMs, over);
    } catch {
      return;
    }
    for (const destination of waiting) {
      this.drop(
        destination,
        new EngineError(
          "store-unavailable",
          `${destination.repository.store.url} did not answer within ${formatDuration(answerGraceMs)} of another repository`,
        ),
      );
    }
  }

  /** Waits a little until what the dropped ones have got is removed. */
  async tidied(): Promise<void> {
    const late = new AbortController();
    await Promise.race([
      Promise.all(this.#cleaning.values()),
      this.#options.clock.sleep(cleanUpPatienceMs, late.signal).catch(() => undefined),
    ]);
    late.abort();
  }

  /** The backup is given up: removes what is there of it, but where it is visible. Never throws. */
  async removeAll(): Promise<void> {
    for (const destination of this.all) {
      if (destination.isVisible || this.#cleaning.has(destination)) continue;
      this.#cleaning.set(destination, this.#remove(destination));
    }
    await Promise.all(this.#cleaning.values());
  }

  /** Best effort. Never throws. */
  async #remove(destination: Destination): Promise<void> {
    const { log, clock } = this.#options;
    if (this.#id === undefined) return;
    const { repository, uploads } = destination;
    const over = new AbortController();
    try {
      const aborted = Promise.all([...uploads].map(async (upload) => upload.abort()));
      // A call that hangs is left behind.
      await Promise.race([aborted, clock.sleep(cleanUpMs, over.signal)]);
      await removeBackupObjects(repository, this.#id, AbortSignal.timeout(cleanUpMs));
    } catch (error) {
      log.warn("could not remove what the failed backup left; the next backup does", {
        repository: repository.name,
        error: describeError(error),
      });
    } finally {
      over.abort();
    }
  }

  #tooFew(): EngineError {
    const dropped = this.all.flatMap(({ repository, reason }) =>
      reason === undefined ? [] : [{ name: repository.name, reason }],
    );
    const [first] = dropped;
    if (first === undefined) return new EngineError("internal", "no repository was dropped");
    if (this.all.length === 1) return first.reason;
    const { code, hint, retryable } = first.reason;
    const reasons = dropped.map(({ name, reason }) => `"${name}": ${describeError(reason)}`).join("; ");
    const { required } = this.#options;
    return new EngineError(
      code,
      `fewer than ${required} of ${this.all.length} repositories can take the backup: ${reasons}`,
      {
        cause: first.reason,
        retryable,
        ...(hint === undefined ? {} : { hint }),
      },
    );
  }
}
