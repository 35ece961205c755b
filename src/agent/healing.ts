import type { Clock } from "../common/clock.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { describeError, isEngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import { healFile, type HealFileOptions, type MissingFile } from "./heal-file.ts";
import type { OwedBook } from "./owed-book.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";
import type { Findings } from "./findings.ts";

export interface HealingOptions extends HealFileOptions {
  readonly book: OwedBook;
  readonly findings: Findings;
  readonly lanes: RepositoryLanes;
  /** How many files wait for their first repository: healing gives way to them. */
  readonly waitingFiles: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two looks at what is to be done. */
const lookMs = 2000;
/** Files that are taken at once; then what is oldest is found out anew. */
const batchFiles = 32;
/** Files on the way to one repository at a time: live archiving has most of the line, and all of it while much waits. */
const gentleConcurrency = 2;
const muchWaiting = 8;
/** How long a file is left alone that nobody has any more, or that is refused: no fault of a repository. */
const hopelessRestMs = 600_000;
/** One that PostgreSQL took away while it was read: the next time it comes from elsewhere. */
const shortRestMs = 5000;

/**
 * Brings to each repository what it is without, oldest first: what notes say (`owed-book.ts`) and what a comparison of
 * listings found (`findings.ts`). Each repository is healed for itself, so that one that hangs holds up no other.
 */
export class Healing {
  readonly #options: HealingOptions;
  /** Files that cannot be had or are refused, and when to try again; by repository and name. */
  readonly #resting = new Map<string, number>();

  constructor(options: HealingOptions) {
    this.#options = options;
  }

  /** Runs until `stop` fires; what is under way then ends, or is ended by `hardStop`. Never rejects. */
  async run(stop: AbortSignal, hardStop: AbortSignal): Promise<void> {
    const { targets, clock, log } = this.#options;
    await Promise.all(
      targets.map(async (target) => {
        while (!stop.aborted) {
          let healed = 0;
          try {
            healed = await this.#round(target, stop, hardStop);
          } catch (error) {
            if (!stop.aborted)
              log.error("could not bring owed WAL files to their repositories", {
                repository: target.repository.name,
                error: describeError(error),
              });
          }
          if (healed === 0) await clock.sleep(lookMs, stop).catch(() => undefined);
        }
      }),
    );
  }

  /** One batch for one repository; gives how many files it has now that it was without. */
  async #round(target: ArchiveTarget, stop: AbortSignal, hardStop: AbortSignal): Promise<number> {
    if (!this.#isAvailable(target)) return 0;
    const batch = (await this.#missing(target)).slice(0, batchFiles);
    const places = this.#options.waitingFiles() > muchWaiting ? 1 : gentleConcurrency;
    let healed = 0;
    await mapConcurrent(batch, places, async (missing) => {
      // After a failure the repository is left alone until its pause is over.
      if (stop.aborted || !this.#isAvailable(target)) return;
      if (await this.#heal(missing, target, hardStop)) healed++;
    });
    return healed;
  }

  #isAvailable({ repository }: ArchiveTarget): boolean {
    const { lanes, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    return (lanes.get(repository.name)?.health.availableAtMs(nowMs) ?? nowMs) <= nowMs;
  }

  /** What this repository is without and may be tried now, oldest first. */
  async #missing({ repository: { name } }: ArchiveTarget): Promise<readonly MissingFile[]> {
    const { book, findings, lanes, clock } = this.#options;
    const owed = (await book.all())
      .filter(({ repositories }) => repositories.includes(name))
      .map(({ file, sizeBytes, mtimeNs }): MissingFile => ({ file, written: { sizeBytes, mtimeNs } }));
    const noted = new Set(owed.map(({ file }) => file.name));
    const found = findings
      .missing(name)
      .filter((file) => !noted.has(file.name))
      .map((file): MissingFile => ({ file, written: undefined }));
    const nowMs = clock.monotonicMs();
    return [...owed, ...found]
      .filter(({ file }) => !lanes.isOnTheWay(file.name, name))
      .filter(({ file }) => (this.#resting.get(restKey(name, file.name)) ?? nowMs) <= nowMs)
      .sort((a, b) => (a.file.name < b.file.name ? -1 : 1));
  }

  /** Whether the repository has the file now. */
  async #heal(missing: MissingFile, target: ArchiveTarget, signal: AbortSignal): Promise<boolean> {
    const { book, findings, lanes, clock } = this.#options;
    const { name } = target.repository;
    const { file } = missing;
    try {
      const outcome = await healFile(missing, target, this.#options, signal);
      lanes.note(name, outcome.kind === "failed" ? outcome.error : undefined);
      if (outcome.kind === "failed") throw outcome.error;
    } catch (error) {
      if (isEngineError(error, "aborted")) return false;
      this.#options.log.warn("could not bring a WAL file to a repository that is without it", {
        repository: name,
        segment: file.name,
        error: describeError(error),
      });
      this.#rest(name, file.name, error);
      return false;
    }
    lanes.get(name)?.stored(file, clock.now());
    this.#resting.delete(restKey(name, file.name));
    findings.filled(name, file.name);
    await book.pay(file.name, name);
    return true;
  }

  #rest(repository: string, fileName: string, error: unknown): void {
    const { clock } = this.#options;
    const isOutage = !isEngineError(error) || error.retryable || error.code.startsWith("store-");
    const wasTakenAway = isEngineError(error, "wal-refused") || isEngineError(error, "file-io");
    const restMs = isOutage || wasTakenAway ? shortRestMs : hopelessRestMs;
    this.#resting.set(restKey(repository, fileName), clock.monotonicMs() + restMs);
  }
}

const restKey = (repository: string, fileName: string): string => `${fileName} ${repository}`;
