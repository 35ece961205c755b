import { copyFile, link, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { throwIfAborted } from "../../common/abort.ts";
import type { ExpectedSystem } from "../../archive/local-wal.ts";
import { syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { formatLsn, type Lsn } from "../../postgres/lsn.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { giveTo } from "../../postgres/settings-file.ts";
import { parseWalFileName } from "../../postgres/wal-file-name.ts";
import { syncFileSystems } from "../../restore/sync-file-systems.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import { rescuedFolder } from "../configuration/standby-restore.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { ownSegments, planRescue } from "./plan-rescue.ts";
import { endOfChain, readLeftWal } from "./read-left-wal.ts";

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
  readonly key: string;
  /** How far the standby has replayed. */
  readonly position: Lsn;
  readonly expected: ExpectedSystem;
  /** Whom the files shall belong to, when we are root. */
  readonly user: ServerUser | undefined;
  readonly signal: AbortSignal;
}

/**
 * Collects what the primary on a data directory had written and not sent to a standby, and what it had not archived. It must not run
 * any more. Throws `file-io`, `postgres-format`, `disk-full`, `aborted`; then nothing has changed.
 */
export async function rescueWal(options: RescueOptions, dataDirectory: string): Promise<RescueNote> {
  const { key, position, expected } = options;
  const { walSegmentSizeBytes } = expected;
  const walDirectory = join(dataDirectory, "pg_wal");
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
  await collect(options, walDirectory, [...histories, ...chain, ...unarchived], note);
  return note;
}

/** The same where that failed, from the standby's own WAL: nothing is replayed, but the archive gets what it may lack. */
export async function keepOwnWal(options: RescueOptions, failure: string): Promise<RescueNote> {
  const { folder, key, position, expected } = options;
  const walDirectory = join(folder.data, "pg_wal");
  const own = await readLeftWal(walDirectory, expected);
  const unarchived = [...ownSegments(own, position, expected.walSegmentSizeBytes)];
  const note: RescueNote = { format: 1, key, failure, unarchived };
  await collect(options, walDirectory, unarchived, note);
  return note;
}

/** Links where it can: nothing is written to those files again. */
async function collect(
  { folder, user, signal }: RescueOptions,
  walDirectory: string,
  names: readonly string[],
  note: RescueNote,
): Promise<void> {
  const growing = `${rescuedFolder(folder)}.new`;
  try {
    await rm(growing, { recursive: true, force: true });
    await makeOwnDirectory(growing, user);
    for (const name of new Set(names)) {
      throwIfAborted(signal);
      await take(join(walDirectory, name), join(growing, name), user);
    }
    await writeDurableFile(join(growing, noteName), `${JSON.stringify(note)}\n`, 0o600, user);
    await syncFileSystems([growing], signal);
    faultPoint("rescue:collected");
    // What an earlier failover left: it came to nothing, since this instance did not become the primary then.
    await rm(rescuedFolder(folder), { recursive: true, force: true });
    await rename(growing, rescuedFolder(folder));
    await syncDirectory(folder.root);
  } catch (error) {
    throw fileError("rescue WAL from", walDirectory, error);
  }
  faultPoint("rescue:done");
}

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
