import { copyFile, link, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { throwIfAborted } from "../../common/abort.ts";
import type { ExpectedSystem } from "../../archive/local-wal.ts";
import { syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { giveTo } from "../../postgres/settings-file.ts";
import { parseWalFileName } from "../../postgres/wal-file-name.ts";
import { syncFileSystems } from "../../restore/sync-file-systems.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import { rescuedFolder } from "../configuration/standby-restore.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { ownSegments, planRescue, type StandbyPosition } from "./plan-rescue.ts";
import { endOfChain, isValidSegment, readLeftWal } from "./read-left-wal.ts";

/*
 * WAL that a primary had written and not sent when it ended for good. A standby that is to take over gets it in a folder of its own,
 * `rescued`, out of which its `restore_command` serves it and from where it is archived.
 *
 * What a crash leaves, step by step:
 *   1. `rescued.new` being filled     nobody looks into it; the next attempt removes it
 *   2. renamed to `rescued`           the rescue is done, and its note says for which failover
 *   3. `archived` in it               all of it is in the archive
 *   4. renamed away and removed       the instance is the primary, and has all that it needs in its own `pg_wal`
 */

const noteName = "rescue.json";
const archivedName = "archived";

const noteSchema = z.object({
  format: z.literal(1),
  /** Of the failover that it was asked for. */
  key: z.string(),
  endLsn: z.string().optional(),
  /** Why the primary's WAL could not be had; then this is the standby's own. */
  failure: z.string().optional(),
  unarchived: z.array(z.string()),
});
export type RescueNote = z.infer<typeof noteSchema>;

/** What was rescued; undefined when nothing was. Throws `file-io`. */
export async function readRescueNote(folder: InstanceFolder): Promise<RescueNote | undefined> {
  const path = join(rescuedFolder(folder), noteName);
  try {
    return noteSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

interface RescueOptions {
  readonly folder: InstanceFolder;
  /** The primary's. */
  readonly dead: InstanceFolder;
  readonly key: string;
  readonly position: StandbyPosition;
  readonly expected: ExpectedSystem;
  /** Whom the files shall belong to, when we are root. */
  readonly user: ServerUser | undefined;
  readonly signal: AbortSignal;
}

/**
 * Collects what a primary had written and not sent to a standby, and what it had not archived. It must not run
 * any more. Throws `file-io`, `postgres-format`, `disk-full`, `aborted`; then nothing has changed.
 */
export async function rescueWal(options: RescueOptions): Promise<RescueNote> {
  const { dead, key, position, expected } = options;
  const { walSegmentSizeBytes } = expected;
  const walDirectory = join(dead.data, "pg_wal");
  const left = await readLeftWal(walDirectory, expected);
  const { chain, unarchived } = planRescue(left, position, walSegmentSizeBytes);
  const end = await endOfChain(walDirectory, chain, walSegmentSizeBytes);
  const last = chain.at(-1);
  const isDone = last === undefined || left.statusNames.includes(`${last}.done`) || unarchived.includes(last);
  const note: RescueNote = {
    format: 1,
    key,
    ...(end === undefined ? {} : { endLsn: formatLsn(end.endLsn) }),
    unarchived: end?.isLastWhole === true && !isDone ? [...unarchived, last] : [...unarchived],
  };
  const histories = left.names.filter((name) => parseWalFileName(name)?.kind === "history");
  return collect(options, walDirectory, [...histories, ...chain, ...unarchived], note);
}

/** The same where that failed, from the standby's own WAL: nothing is replayed, but the archive gets what it may lack. */
export async function keepOwnWal(options: RescueOptions, failure: string): Promise<RescueNote> {
  const { folder, key, position, expected } = options;
  const walDirectory = join(folder.data, "pg_wal");
  const own = await readLeftWal(walDirectory, expected);
  const unarchived = [...ownSegments(own, position.replayed, expected.walSegmentSizeBytes)];
  return collect(options, walDirectory, unarchived, { format: 1, key, failure, unarchived });
}

/**
 * Files that an instance has from an earlier failover and that are not in the archive for certain: in its `pg_wal` they are marked as
 * archived. What is not what its name says was its primary's after all, which went on, archived it and recycled it.
 */
async function stillWaiting(folder: InstanceFolder, expected: ExpectedSystem): Promise<readonly string[]> {
  const note = await readRescueNote(folder);
  const paths = note === undefined ? [] : await stillToArchive(folder, note);
  const whole: string[] = [];
  for (const name of paths) {
    const path = join(rescuedFolder(folder), name);
    const file = parseWalFileName(name);
    if (file?.kind === "segment" && !(await isValidSegment(path, file.segment, expected))) continue;
    whole.push(path);
  }
  return whole;
}

/** Links where it can: nothing is written to those files again. With what is left of earlier failovers; gives the note with it. */
async function collect(
  { folder, dead, expected, user, signal }: RescueOptions,
  walDirectory: string,
  names: readonly string[],
  found: RescueNote,
): Promise<RescueNote> {
  const growing = `${rescuedFolder(folder)}.new`;
  const earlier = [...(await stillWaiting(folder, expected)), ...(await stillWaiting(dead, expected))];
  const places = new Map([...earlier, ...names.map((name) => join(walDirectory, name))].map(byName));
  const unarchived = [...new Set([...earlier.map((path) => basename(path)), ...found.unarchived])];
  const note = { ...found, unarchived: unarchived.toSorted() };
  try {
    await rm(growing, { recursive: true, force: true });
    await makeOwnDirectory(growing, user);
    for (const [name, path] of places) {
      throwIfAborted(signal);
      await take(path, join(growing, name), user);
    }
    await writeDurableFile(join(growing, noteName), `${JSON.stringify(note)}\n`, 0o600, user);
    await syncFileSystems([growing], signal);
    faultPoint("rescue:collected");
    // What an earlier failover left: what the archive may be without has been taken along.
    await rm(rescuedFolder(folder), { recursive: true, force: true });
    await rename(growing, rescuedFolder(folder));
    await syncDirectory(folder.root);
  } catch (error) {
    throw fileError("rescue WAL from", walDirectory, error);
  }
  faultPoint("rescue:done");
  return note;
}

const byName = (path: string): readonly [string, string] => [basename(path), path];

async function take(from: string, to: string, user: ServerUser | undefined): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Another file system, or one without links.
    if (!["EXDEV", "EPERM", "ENOTSUP", "EMLINK"].includes(systemErrorCode(error) ?? "")) throw error;
    await copyFile(from, to);
    if (user !== undefined) await giveTo(to, user);
  }
}

/** Notes, durably, that everything is in the archive. Throws `file-io`. */
export async function noteArchived(folder: InstanceFolder): Promise<void> {
  await writeDurableFile(join(rescuedFolder(folder), archivedName), "");
}

/** What of it is still to be archived; empty once all of it was. Throws `file-io`. */
export async function stillToArchive(folder: InstanceFolder, note: RescueNote): Promise<readonly string[]> {
  const directory = rescuedFolder(folder);
  try {
    const names = new Set(await readdir(directory));
    return names.has(archivedName) ? [] : note.unarchived.filter((name) => names.has(name));
  } catch (error) {
    throw fileError("read", directory, error);
  }
}

/** Removes it all: the server has what it needs of it. Throws `file-io`. */
export async function forgetRescued(folder: InstanceFolder): Promise<void> {
  const directory = rescuedFolder(folder);
  const removed = `${directory}.old`;
  try {
    await rm(removed, { recursive: true, force: true });
    await rename(directory, removed);
    await rm(removed, { recursive: true, force: true });
  } catch (error) {
    throw fileError("remove", directory, error);
  }
}
