import { readCatalogue, finishedBackups } from "../repository/catalogue.ts";
import type { Repository } from "../repository/repository.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import {
  isValidForSegmentSize,
  parseWalFileName,
  segmentNumberOf,
  walSegmentName,
  type WalFileName,
} from "../postgres/wal-file-name.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { walFolders } from "./wal-folders.ts";

/** What a comparison of listings found out about one repository. */
export interface RepositoryFindings {
  /** Files that it is without and another one has. */
  missingFiles: number;
  /** The oldest of them, as many as asked for, oldest first. */
  readonly missing: WalFileName[];
  /** The newest segment that it holds. */
  lastSegment: WalObject | undefined;
}

export interface WalSurvey {
  /** By repository; without those that could not be read. */
  readonly findings: ReadonlyMap<string, RepositoryFindings>;
  /** Segments that no repository holds, between others of their timeline that some do: the oldest ones, and their number. */
  readonly holes: readonly WalFileName[];
  readonly holeFiles: number;
}

export interface SurveyOptions {
  readonly repositories: readonly Repository[];
  readonly segmentSizeBytes: number;
  /** At most so many names are given for each repository. */
  readonly limit: number;
  /** Whether a file is on its way by other means and is no matter of the survey. */
  readonly isUnderWay: (fileName: string) => boolean;
  readonly onFailed: (repository: string, error: unknown) => void;
  readonly signal?: AbortSignal;
}

/** So few are looked for once more, each by itself: a listing is no picture of one moment, and WAL arrives meanwhile. */
const confirmedFiles = 32;

/**
 * Compares what several repositories of one server hold of its WAL. A repository should have what any other one has, from
 * the beginning of its own oldest backup on: what is older it has expired. One without a backup should have it from the
 * oldest backup of the others on, or all that there is when there is none. (Backups that are kept alone, without the WAL
 * behind them, are not counted.) Of the repositories that cannot be read nothing is found.
 */
export async function surveyWal(options: SurveyOptions): Promise<WalSurvey> {
  const { segmentSizeBytes, signal } = options;
  const unread = new Set<string>();
  const fail = (repository: string, error: unknown) => {
    unread.add(repository);
    options.onFailed(repository, error);
  };
  const begins = await readBegins(options.repositories, segmentSizeBytes, fail, signal);
  const repositories = options.repositories.filter(({ name }) => !unread.has(name));
  const findings = new Map(
    repositories.map(({ name }): [string, RepositoryFindings] => [
      name,
      { missingFiles: 0, missing: [], lastSegment: undefined },
    ]),
  );
  const gaps = new Gaps(segmentSizeBytes, begins.oldest, options.limit);
  for await (const { contents } of walFolders(repositories, fail, signal)) {
    const all = new Map<string, WalFileName>();
    for (const content of contents.values())
      for (const { file } of content.values()) all.set(file.name, file);
    for (const [name, file] of [...all].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (file.kind !== "history" && !isValidForSegmentSize(file.segment, segmentSizeBytes)) continue;
      if (file.kind === "segment") gaps.add(file);
      for (const [repository, content] of contents) {
        const found = findings.get(repository);
        const object = content.get(name);
        if (found === undefined) continue;
        if (object !== undefined) {
          if (file.kind === "segment" && name >= (found.lastSegment?.file.name ?? ""))
            found.lastSegment = object;
          continue;
        }
        const isWanted = file.kind === "history" || numberOf(file, segmentSizeBytes) >= begins.of(repository);
        if (!isWanted || options.isUnderWay(name)) continue;
        found.missingFiles++;
        if (found.missing.length < options.limit) found.missing.push(file);
      }
    }
  }
  for (const name of unread) findings.delete(name);
  const readable = repositories.filter(({ name }) => !unread.has(name));
  for (const repository of readable) {
    const found = findings.get(repository.name);
    if (found === undefined || found.missing.length < found.missingFiles) continue;
    if (found.missingFiles > confirmedFiles) continue;
    const missing = await confirmed(found.missing, [repository], signal);
    findings.set(repository.name, { ...found, missing, missingFiles: missing.length });
  }
  const holes = await confirmed(
    gaps.names.filter(({ name }) => !options.isUnderWay(name)),
    readable,
    signal,
  );
  return { findings, holes, holeFiles: holes.length + gaps.count - gaps.names.length };
}

interface Begins {
  /** The number of the first segment that a repository should have. */
  of(repository: string): bigint;
  readonly oldest: bigint;
}

async function readBegins(
  repositories: readonly Repository[],
  segmentSizeBytes: number,
  onFailed: (repository: string, error: unknown) => void,
  signal: AbortSignal | undefined,
): Promise<Begins> {
  const known = new Map<string, bigint>();
  await Promise.all(
    repositories.map(async (repository) => {
      try {
        const backups = finishedBackups(await readCatalogue(repository, signal));
        const begins = backups.flatMap(({ keep, info }) =>
          keep === "standalone" || !isValidForSegmentSize(info.beginWal, segmentSizeBytes)
            ? []
            : [segmentNumberOf(info.beginWal, segmentSizeBytes)],
        );
        if (begins.length > 0) known.set(repository.name, lowest(begins));
      } catch (error) {
        onFailed(repository.name, error);
      }
    }),
  );
  const oldest = lowest([...known.values()]);
  return { of: (repository) => known.get(repository) ?? oldest, oldest };
}

/** Zero when there is none. */
function lowest(numbers: readonly bigint[]): bigint {
  return numbers.reduce((least, number) => (number < least ? number : least), numbers[0] ?? 0n);
}

/** What is missing between segments of one timeline that come in the order of their names. */
class Gaps {
  readonly names: WalFileName[] = [];
  count = 0;
  readonly #segmentSizeBytes: number;
  readonly #from: bigint;
  readonly #limit: number;
  readonly #last = new Map<TimelineId, bigint>();

  constructor(segmentSizeBytes: number, from: bigint, limit: number) {
    this.#segmentSizeBytes = segmentSizeBytes;
    this.#from = from;
    this.#limit = limit;
  }

  add(file: Extract<WalFileName, { kind: "segment" }>): void {
    const { timeline } = file;
    const segmentSizeBytes = this.#segmentSizeBytes;
    const number = numberOf(file, segmentSizeBytes);
    if (number < this.#from) return;
    const expected = (this.#last.get(timeline) ?? number - 1n) + 1n;
    this.#last.set(timeline, number);
    this.count += Number(number - expected);
    for (let segmentNumber = expected; segmentNumber < number; segmentNumber++) {
      if (this.names.length >= this.#limit) return;
      const missing = parseWalFileName(walSegmentName({ timeline, segmentNumber, segmentSizeBytes }));
      if (missing !== undefined) this.names.push(missing);
    }
  }
}

/** Those that none of the repositories has indeed. What cannot be told counts as missing. */
async function confirmed(
  files: readonly WalFileName[],
  repositories: readonly Repository[],
  signal: AbortSignal | undefined,
): Promise<WalFileName[]> {
  const left: WalFileName[] = [];
  for (const [index, file] of files.entries()) {
    const found =
      index < confirmedFiles &&
      (await Promise.all(
        repositories.map(async (repository) =>
          findWalObjects(repository, file, signal).then(
            (objects) => objects.length > 0,
            () => false,
          ),
        ),
      ).then((each) => each.includes(true)));
    if (!found) left.push(file);
  }
  return left;
}

function numberOf(file: Exclude<WalFileName, { kind: "history" }>, segmentSizeBytes: number): bigint {
  return segmentNumberOf(file.segment, segmentSizeBytes);
}
