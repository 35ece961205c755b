import { chmod, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { makeDurableDirectory, syncDirectory } from "../../common/durable-file.ts";
import { assert, fileError, systemErrorCode } from "../../common/errors.ts";
import { damagedDatabase, databaseError } from "./database-error.ts";
import { prepareSchema } from "./schema.ts";

/** How long to wait for somebody who only looks, or for a process that is just ending. */
const busyTimeoutMs = 1000;

const journalRow = z.object({ journal_mode: z.string() });
const checkRow = z.object({ quick_check: z.string() });

/**
 * Opens a database for this process alone, and makes it with its folder when there is none: durable at every commit,
 * readable for nobody else, checked from end to end. Throws `locked` while another process has it; `config` for a damaged
 * one, one of a newer Tidemark, and one of another program; `file-io` and `disk-full`.
 */
export async function openDatabase(path: string): Promise<DatabaseSync> {
  await makePrivateFile(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
    // Before the first reading: then the lock is taken with it and kept until the end of the process, however it ends, and
    // the index of the WAL is in memory instead of a file (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    const { journal_mode } = journalRow.parse(database.prepare("PRAGMA journal_mode = WAL").get());
    assert(journal_mode === "wal", `every database can be in WAL mode, but this one is in "${journal_mode}"`);
    // Every commit is synced. The default of WAL mode would lose the last ones with the power.
    database.exec("PRAGMA synchronous = FULL");
    const { quick_check } = checkRow.parse(database.prepare("PRAGMA quick_check(1)").get());
    if (quick_check !== "ok") throw damagedDatabase(path, quick_check);
    const opened = database;
    inTransaction(opened, path, () => prepareSchema(opened, path));
    return opened;
  } catch (error) {
    database?.close();
    throw databaseError("open", path, error);
  }
}

/** Runs `work` as one transaction: all of it is durable when this returns, or nothing has happened and it throws. */
export function inTransaction<T>(database: DatabaseSync, path: string, work: () => T): T {
  try {
    database.exec("BEGIN IMMEDIATE");
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw databaseError("write to", path, error);
  }
}

/**
 * SQLite would make the file readable for all; its WAL gets the mode of the file. An existing file is not opened here:
 * closing it would end the lock of a connection that this process has (fcntl(2), "Advisory record locking").
 */
async function makePrivateFile(path: string): Promise<void> {
  try {
    await makeDurableDirectory(dirname(path));
    const handle = await open(path, "wx", 0o600);
    await handle.close();
    await syncDirectory(dirname(path));
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw fileError("make", path, error);
    await closeToOthers(path);
    await closeToOthers(`${path}-wal`);
  }
}

async function closeToOthers(path: string): Promise<void> {
  try {
    if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw fileError("close to others", path, error);
  }
}
