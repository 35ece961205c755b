import { link, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { syncDirectory, temporaryPathFor, writeDurableFile } from "../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";

/*
 * A restore in progress leaves this file in the data directory. With it a later run knows what it has before it: an
 * unfinished restore, which directories belong to it, and so what may be cleaned away.
 *
 * What a crash leaves, step by step:
 *   1. nothing written yet        an empty directory
 *   2. marker written             the marker alone
 *   3. unpacking, settings, sync  marker and files, but `pg_control` only under its temporary name: PostgreSQL refuses
 *                                 to start ("could not open file … global/pg_control"), a later run can clean it
 *   4. `pg_control` in place      a whole restore, with a marker left over: it can be started, may have been, and so is
 *                                 never cleaned; the message says to remove the marker
 *   5. marker removed             a whole restore
 *
 * A tablespace's directory lies elsewhere, often where the backup says and so where another restore would put it too. While
 * it is being filled it holds a mark of its own: another restore finds it in use, and what an unfinished restore meant to
 * fill but somebody else did is not cleaned away.
 */

export const markerName = ".tidemark-restore.json";
/** Where the control file waits until everything else is in place. */
export const heldControlPath = "global/pg_control.tidemark-restore";
export const controlPath = "global/pg_control";

const schema = z.object({
  format: z.literal(1),
  /** Of this one restore; the tablespaces' directories carry it too. */
  restoreId: z.string(),
  backup: z.string(),
  repository: z.string(),
  startedAt: z.string(),
  /** Directories outside the data directory that this restore fills; they were empty. */
  tablespaceDirectories: z.array(z.string()),
});

export type RestoreMarker = z.infer<typeof schema>;

const tablespaceSchema = z.object({ format: z.literal(1), restoreId: z.string() });

/** Marks the directory of a tablespace as being filled by this restore. Throws `target-directory` as `writeMarker` does. */
export async function writeTablespaceMark(directory: string, restoreId: string): Promise<void> {
  await takeDirectory(directory, { format: 1, restoreId });
}

/** Which restore is filling a tablespace's directory; undefined when none says so. */
export async function readTablespaceMark(directory: string): Promise<string | undefined> {
  const text = await readIfThere(join(directory, markerName));
  try {
    return text === undefined ? undefined : tablespaceSchema.parse(JSON.parse(text)).restoreId;
  } catch {
    // Not a mark of ours, so no leave to delete.
    return undefined;
  }
}

/** Marks a data directory. Throws `target-directory` when another restore did so first. */
export async function writeMarker(
  dataDirectory: string,
  marker: Omit<RestoreMarker, "format">,
): Promise<void> {
  await takeDirectory(dataDirectory, { format: 1, ...marker });
}

/** Only one of several restores that begin at the same time gets a directory. The mark appears whole or not at all. */
async function takeDirectory(directory: string, content: object): Promise<void> {
  const path = join(directory, markerName);
  const temporary = temporaryPathFor(path);
  try {
    await writeDurableFile(temporary, `${JSON.stringify(content)}\n`);
    // Unlike a rename, this fails when the name is taken.
    await link(temporary, path);
    // What a crash left, or somebody who comes too late; ours among them.
    for (const name of await readdir(directory)) {
      if (isUnfinishedMarker(name)) await rm(join(directory, name), { force: true });
    }
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true });
    if (!["EEXIST", "ENOENT"].includes(systemErrorCode(error) ?? "")) throw fileError("write", path, error);
    throw new EngineError("target-directory", `another restore into "${directory}" has just begun`, {
      cause: error,
      hint: "Let it finish, or restore into another directory.",
    });
  }
}

/** Whether a name in a marked directory is what a crash leaves of a mark being written: nothing else was written by then. */
export function isUnfinishedMarker(name: string): boolean {
  return name.includes(markerName) && name.startsWith(".") && name.endsWith(".tmp");
}

/** Undefined when the directory has none (or does not exist). Throws `target-directory` when it cannot be understood. */
export async function readMarker(dataDirectory: string): Promise<RestoreMarker | undefined> {
  const path = join(dataDirectory, markerName);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new EngineError("target-directory", `"${path}" is not the mark of a restore`, {
      cause,
      hint: "Look at the directory; if nobody needs it, remove it by hand.",
    });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw fileError("read", path, error);
  }
}
