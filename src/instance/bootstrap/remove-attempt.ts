import { readdir, readlink, rm, rmdir } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { describeError, fileError, systemErrorCode } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { adoptServer } from "../../postgres/server.ts";
import { controlPath, markerName, readMarker, readTablespaceMark } from "../../restore/marker.ts";
import { cleanUnfinishedRestore } from "../../restore/target-directory.ts";
import { exists } from "../configuration/own-files.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { Attempt } from "./attempt.ts";

/**
 * Ends the server that a killed process left running on an attempt. A recovery is stopped in an orderly way, so that it
 * can be gone on with from where it was.
 */
export async function stopLeftServer(attempt: Attempt, log: Log): Promise<void> {
  const server = await adoptServer({ dataDirectory: attempt.data });
  if (server === undefined) return;
  log.info("stopping the server that an interrupted bootstrap left running", { path: attempt.data });
  await server.stop("fast");
  // Its sockets were in a private folder that nobody removes any more; one that holds anything else stays.
  await rmdir(server.connection.host).catch(() => undefined);
}

/**
 * Removes an attempt with all that it has made, and nothing else. Safe to repeat after a crash: what lies elsewhere goes
 * first, the mark that says so last. Throws `file-io`.
 */
export async function removeAttempt(folder: InstanceFolder, attempt: Attempt, log: Log): Promise<void> {
  await stopLeftServer(attempt, log);
  await removeTablespaces(folder, attempt);
  await attempt.removeFolder();
}

/** The same behind a failure, which is what the caller wants to hear of: what cannot be removed is logged. */
export async function tryToRemoveAttempt(folder: InstanceFolder, attempt: Attempt, log: Log): Promise<void> {
  try {
    await removeAttempt(folder, attempt, log);
  } catch (error) {
    log.warn("could not remove what a failed bootstrap left; the next one tries again", {
      path: attempt.root,
      error: describeError(error),
    });
  }
}

async function removeTablespaces(folder: InstanceFolder, attempt: Attempt): Promise<void> {
  const isWhole = await exists(join(attempt.data, controlPath));
  // Such a restore knows its tablespaces, and which of them it had not yet come to.
  if (!isWhole && (await readMarker(attempt.data)) !== undefined) await cleanUnfinishedRestore(attempt.data);
  const linked = await linkedDirectories(attempt.data);
  for (const directory of attempt.mark.tablespaces) {
    // Noted before it was begun with: what neither bears its mark nor is linked to it, somebody else may have filled since.
    const isOurs = linked.has(directory) || (await readTablespaceMark(directory)) === attempt.id;
    if (isOurs) await emptyTablespace(directory);
    // Where the instance keeps its tablespaces, an empty directory is one of ours.
    if (directory.startsWith(`${folder.tablespaces}${sep}`)) await rmdir(directory).catch(() => undefined);
  }
}

/** A tablespace holds a directory for each version of PostgreSQL, and our mark; anything else came from somebody else. */
async function emptyTablespace(directory: string): Promise<void> {
  try {
    const names = (await namesIn(directory)).filter((name) => /^PG_\d+_\d+$/.test(name));
    for (const name of [...names, markerName]) {
      await rm(join(directory, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fileError("empty", directory, error);
  }
}

async function linkedDirectories(dataDirectory: string): Promise<ReadonlySet<string>> {
  const links = join(dataDirectory, "pg_tblspc");
  const linked = new Set<string>();
  for (const name of await namesIn(links)) {
    const path = join(links, name);
    const target = await readlink(path).catch((error: unknown) => {
      // A directory: a tablespace in place.
      if (systemErrorCode(error) === "EINVAL") return undefined;
      throw fileError("read", path, error);
    });
    if (target !== undefined) linked.add(resolve(links, target));
  }
  return linked;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", directory, error);
  }
}
