import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EngineError, fileError } from "../../common/errors.ts";
import { readProcessState, type ServedFolder } from "./process-file.ts";

/** SQLITE_BUSY. */
const busy = 5;
/** A process that was killed holds its lock until the last of its threads is gone. */
const dyingMs = 1000;

/**
 * Makes this process the only one that serves the folder, until it lets go or dies: two that bootstrap into one folder would
 * destroy each other's work. Node cannot take a lock of the kernel's, which ends with its process however that ends; SQLite
 * can, so an empty database, `instance.lock`, is held by a transaction that nobody else may begin. `what` it serves is for the
 * message.
 *
 * @throws EngineError `locked`, with the other's process number; `file-io`.
 */
export async function lockFolder(folder: ServedFolder, what = "instance"): Promise<Disposable> {
  const path = join(folder.root, "instance.lock");
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: dyingMs });
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw fileError("lock", path, error);
    const pid = await readProcessState(folder).then((state) => state?.pid);
    throw new EngineError(
      "locked",
      `another process${pid === undefined ? "" : ` (${pid})`} serves the ${what} in "${folder.root}"`,
      {
        hint: "One is enough: leave it, or end it first.",
        ...(pid === undefined ? {} : { details: { pid } }),
      },
    );
  }
  const held = database;
  return { [Symbol.dispose]: () => held.close() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === busy;
}
