import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { describeError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import type { OwedBook } from "./owed-book.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";
import { exists } from "./spool.ts";
import { surveyWal, type WalSurvey } from "./wal-survey.ts";

export interface FindingsOptions {
  readonly repositories: readonly Repository[];
  readonly segmentSizeBytes: number;
  readonly walDirectory: string;
  readonly book: OwedBook;
  readonly lanes: RepositoryLanes;
  /** Whether the file is archived by live archiving just now. */
  readonly isLive: (fileName: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Names that are kept for each repository: when they are filled, listings are compared again. */
const mostNames = 1000;
const lookMs = 1000;
const everyMs = 3_600_000;
/** After an outage, or a comparison that failed; so that a store that comes and goes is not listed all the time. */
const pauseMs = 60_000;

/** What is known of one repository. */
interface Known {
  readonly missing: Map<string, WalFileName>;
  /** Behind those. */
  moreFiles: number;
}

/**
 * What repositories are without as far as their listings tell: compared when the agent starts, after a repository was
 * out, when there was more than could be noted, and every hour. It is not kept: the next start finds it again.
 */
export class Findings {
  readonly #options: FindingsOptions;
  readonly #known = new Map<string, Known>();
  readonly #outages = new Map<string, number>();
  #holes: readonly WalFileName[] = [];
  #holeFiles = 0;
  /** Repositories that were not compared since the start, or since that failed. */
  readonly #due: Set<string>;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.#due = new Set(options.repositories.map(({ name }) => name));
  }

  /** What this repository is without, as far as it is known by name; oldest first. */
  missing(repository: string): readonly WalFileName[] {
    return [...(this.#known.get(repository)?.missing.values() ?? [])];
  }

  missingFiles(repository: string): number {
    const known = this.#known.get(repository);
    return known === undefined ? 0 : known.missing.size + known.moreFiles;
  }

  /** Segments that nobody has: how many, and the oldest of them. */
  get holes(): { readonly files: number; readonly names: readonly string[] } {
    return { files: this.#holeFiles, names: this.#holes.map(({ name }) => name) };
  }

  filled(repository: string, fileName: string): void {
    this.#known.get(repository)?.missing.delete(fileName);
  }

  /** Compares listings whenever it is time, until `stop` fires. With one repository there is nothing to compare. Never rejects. */
  async run(stop: AbortSignal, hardStop: AbortSignal): Promise<void> {
    const { repositories, clock, log } = this.#options;
    if (repositories.length < 2) return;
    while (!stop.aborted) {
      if (this.#isTime()) {
        try {
          await this.#compare(hardStop);
        } catch (error) {
          if (!stop.aborted) log.warn("could not compare repositories", { error: describeError(error) });
        }
      }
      await clock.sleep(lookMs, stop).catch(() => undefined);
    }
  }

  #isTime(): boolean {
    const { repositories, book, lanes, clock } = this.#options;
    const sinceMs = clock.monotonicMs() - this.#triedAtMs;
    if (sinceMs >= everyMs) return true;
    const working = repositories.filter(({ name }) => lanes.get(name)?.health.report().state !== "failing");
    if (working.length < 2) return false;
    // Everything that was known by name is filled, and there is more.
    const isOpen = working.some(({ name }) => {
      const known = this.#known.get(name);
      return known?.missing.size === 0 && known.moreFiles > 0;
    });
    if (isOpen) return true;
    const isDue = working.some(
      ({ name }) =>
        this.#due.has(name) ||
        book.unnoted(name) > 0 ||
        (lanes.get(name)?.health.outages ?? 0) !== (this.#outages.get(name) ?? 0),
    );
    return isDue && sinceMs >= pauseMs;
  }

  async #compare(signal: AbortSignal): Promise<void> {
    const { lanes, book, clock, log, isLive } = this.#options;
    this.#triedAtMs = clock.monotonicMs();
    const repositories = this.#options.repositories.filter(
      ({ name }) => lanes.get(name)?.health.report().state !== "failing",
    );
    for (const { name } of repositories) {
      this.#outages.set(name, lanes.get(name)?.health.outages ?? 0);
      book.surveyed(name);
      this.#due.delete(name);
    }
    const survey = await surveyWal({
      repositories,
      segmentSizeBytes: this.#options.segmentSizeBytes,
      limit: mostNames,
      isUnderWay: isLive,
      onFailed: (repository, error) => {
        this.#due.add(repository);
        log.warn("could not compare what a repository holds with the others", {
          repository,
          error: describeError(error),
        });
      },
      signal,
    });
    await this.#keep(survey);
  }

  async #keep(survey: WalSurvey): Promise<void> {
    const { lanes, log } = this.#options;
    const local = await this.#inPgWal(survey.holes);
    this.#holes = survey.holes.filter((file) => !local.includes(file));
    this.#holeFiles = survey.holeFiles - local.length;
    for (const [repository, { missing, missingFiles, lastSegment }] of survey.findings) {
      const names = [...local, ...missing].sort((a, b) => (a.name < b.name ? -1 : 1));
      const moreFiles = missingFiles - missing.length;
      this.#known.set(repository, { missing: new Map(names.map((file) => [file.name, file])), moreFiles });
      if (lastSegment !== undefined) lanes.get(repository)?.stored(lastSegment.file, lastSegment.modifiedAt);
      if (names.length === 0) continue;
      const files = names.length + moreFiles;
      log.info("repository is without WAL that others have; it is brought there", { repository, files });
    }
    const [hole] = this.#holes;
    if (hole === undefined) return;
    const fields = { files: this.#holeFiles, segment: hole.name };
    log.warn("WAL is missing in every repository: no restore gets across", fields);
  }

  /** Those that PostgreSQL still has, and takes for archived. */
  async #inPgWal(files: readonly WalFileName[]): Promise<readonly WalFileName[]> {
    const { walDirectory } = this.#options;
    const found: WalFileName[] = [];
    for (const file of files) {
      const mark = join(walDirectory, "archive_status", `${file.name}.done`);
      if ((await exists(mark)) && (await exists(join(walDirectory, file.name)))) found.push(file);
    }
    return found;
  }
}
