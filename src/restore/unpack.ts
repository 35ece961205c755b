import { ZstdFrameDecoder } from "../codec/zstd-frame-decoder.ts";
import { throwIfAborted } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { assert, describeError, type EngineError } from "../common/errors.ts";
import type { ArchiveName } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import {
  concernsRepository,
  isStoreTrouble,
  type ReplacedObject,
} from "../repository/several-repositories.ts";
import type { ArchiveLayouts, UnitCopy, UnpackUnit } from "./part-layouts.ts";
import { WrittenUnit, type TreeWriter } from "./tree-writer.ts";
import { unpackPart } from "./unpack-part.ts";

export interface UnpackOptions {
  readonly archives: readonly ArchiveLayouts[];
  /** The tree of each archive. */
  readonly writerOf: (archive: ArchiveName) => TreeWriter;
  /** Takes back everything that was written for an archive. */
  readonly clear: (archive: ArchiveName) => Promise<void>;
  /** Units in flight, and frames being decoded. */
  readonly concurrency: number;
  /** Told of stored bytes as they are read; less than nothing for those that are read again. */
  readonly onBytes: (bytes: number) => void;
  /** Told of an object that was bad, before another one is taken in its place. */
  readonly onReplaced: (replaced: ReplacedObject) => void;
  readonly signal?: AbortSignal | undefined;
}

/** One unit on its way: the way of its archive, and the copy that is tried next. */
interface Task {
  readonly unit: UnpackUnit;
  readonly way: number;
  readonly copy: number;
}

interface Failure {
  readonly task: Task;
  readonly tried: UnitCopy;
  readonly error: EngineError;
  readonly written: WrittenUnit;
}

/**
 * Fetches, decodes and unpacks all archives of a backup. What is damaged or missing in one repository, or in one that fails
 * meanwhile, comes from another one that has it; then the tree is as without trouble, because what a bad unit has written is
 * taken back before. Throws what the last repository's error is when none has it: what is on disk then is not to be used.
 *
 * It goes in rounds: units that failed are taken back and tried again when no other is under way, since a damaged one may have
 * written files of another, which then seems to be damaged itself.
 */
export async function unpackArchives(options: UnpackOptions): Promise<void> {
  const down = new Set<Repository>();
  using frames = new ZstdFrameDecoder({ concurrency: options.concurrency });
  let tasks = options.archives.flatMap(({ ways }) => tasksOf(ways, 0));
  while (tasks.length > 0) {
    const failures: Failure[] = [];
    // The largest first, so that no long one is left for the end.
    const bySize = tasks.toSorted((a, b) => sizeOf(b) - sizeOf(a));
    await mapConcurrent(
      bySize,
      options.concurrency,
      async (task) => {
        const failure = await attempt(task, options, { down, frames });
        if (failure === undefined) return;
        if (isStoreTrouble(failure.error)) down.add(failure.tried.repository);
        if (isHopeless(failure, options)) throw failure.error;
        failures.push(failure);
      },
      options.signal,
    );
    tasks = await nextRound(failures, options);
  }
}

const tasksOf = (ways: ArchiveLayouts["ways"], way: number): Task[] =>
  (ways[way] ?? []).map((unit) => ({ unit, way, copy: 0 }));

const sizeOf = ({ unit }: Task): number =>
  (unit.copies[0]?.parts ?? []).reduce((sum, { storedBytes }) => sum + storedBytes, 0);

async function attempt(
  task: Task,
  { writerOf, onBytes, signal }: UnpackOptions,
  { down, frames }: { readonly down: ReadonlySet<Repository>; readonly frames: ZstdFrameDecoder },
): Promise<Failure | undefined> {
  const { unit } = task;
  const copies = unit.copies.slice(task.copy);
  // A repository that is down is asked last, not never: it may be the only one that has this.
  const tried = copies.find(({ repository }) => !down.has(repository)) ?? copies[0];
  assert(tried !== undefined, "there is another copy to try");
  const written = new WrittenUnit(unit.overwrite);
  let readBytes = 0;
  const count = (bytes: number): void => {
    readBytes += bytes;
    onBytes(bytes);
  };
  try {
    for (const part of tried.parts) {
      const writer = writerOf(unit.archive);
      await unpackPart(tried.repository, part, { writer, unit: written, frames, onBytes: count, signal });
    }
    return undefined;
  } catch (error) {
    throwIfAborted(signal);
    if (!concernsRepository(error)) throw error;
    onBytes(-readBytes);
    return { task: { ...task, copy: unit.copies.indexOf(tried) }, tried, error, written };
  }
}

/** Another unit's files were in the way: it may be the other one that is damaged. */
const isConflict = ({ error }: Failure): boolean => error.details["isConflict"] === true;

const isLastCopy = ({ unit, copy }: Task): boolean => copy + 1 >= unit.copies.length;

/** The way of its archive behind the task's; empty when there is none. */
function nextWay({ unit, way }: Task, { archives }: UnpackOptions): Task[] {
  const { ways } = archives.find(({ archive }) => archive === unit.archive) ?? { ways: [] };
  return tasksOf(ways, way + 1);
}

const isHopeless = (failure: Failure, options: UnpackOptions): boolean =>
  !isConflict(failure) && isLastCopy(failure.task) && nextWay(failure.task, options).length === 0;

/** Takes back what the failed units have written, and says how each is tried again. */
async function nextRound(failures: readonly Failure[], options: UnpackOptions): Promise<Task[]> {
  for (const { task, written } of failures) options.writerOf(task.unit.archive).takeBack(written);
  const isOnlyConflicts = failures.every(isConflict);
  const isInnocent = (failure: Failure): boolean => isConflict(failure) && !isOnlyConflicts;
  const byArchive = Map.groupBy(failures, ({ task }) => task.unit.archive);
  const tasks: Task[] = [];
  for (const [archive, failed] of byArchive) {
    const last = failed.find((failure) => isLastCopy(failure.task) && !isInnocent(failure));
    if (last === undefined) {
      for (const failure of failed)
        tasks.push(isInnocent(failure) ? failure.task : nextCopy(failure, options));
      continue;
    }
    const again = nextWay(last.task, options);
    if (again.length === 0) throw last.error;
    tellReplaced(last, again[0]?.unit.copies[0]?.repository, options);
    await options.clear(archive);
    tasks.push(...again);
  }
  return tasks;
}

function nextCopy(failure: Failure, options: UnpackOptions): Task {
  const { unit, copy } = failure.task;
  tellReplaced(failure, unit.copies[copy + 1]?.repository, options);
  return { ...failure.task, copy: copy + 1 };
}

function tellReplaced(
  { tried, error }: Failure,
  from: Repository | undefined,
  { onReplaced }: UnpackOptions,
): void {
  const key = error.details["key"];
  const [first] = tried.parts;
  onReplaced({
    repository: tried.repository.name,
    key: typeof key === "string" ? key : (first?.key ?? ""),
    reason: describeError(error),
    from: from?.name ?? "",
  });
}
