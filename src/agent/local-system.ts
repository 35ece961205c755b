import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, fileError, isEngineError, systemErrorCode } from "../common/errors.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { parseControlFile } from "../postgres/control-file.ts";
import type { SpoolOwner } from "./spool.ts";

/**
 * Which PostgreSQL system lies in a data directory; undefined while there is none. Read while the server runs, the control
 * file may be caught in the middle of being written, so a wrong checksum is looked at again. Throws `postgres-format`.
 */
export async function readLocalSystem(dataDirectory: string): Promise<ExpectedSystem | undefined> {
  const path = join(dataDirectory, "global", "pg_control");
  for (let attempt = 1; ; attempt++) {
    try {
      const { systemIdentifier, walSegmentSizeBytes } = parseControlFile(await readFile(path), path);
      return { systemIdentifier, walSegmentSizeBytes };
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return undefined;
      if (!isEngineError(error, "postgres-format")) throw fileError("read", path, error);
      if (attempt === 10) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The same, where it must be there. Throws `config`. */
export async function requireLocalSystem(dataDirectory: string): Promise<ExpectedSystem> {
  const system = await readLocalSystem(dataDirectory);
  if (system !== undefined) return system;
  throw new EngineError(
    "config",
    `"${dataDirectory}" is not a PostgreSQL data directory: it has no global/pg_control`,
    {
      hint: "Name the directory that SHOW data_directory prints.",
    },
  );
}

/** Whom files for PostgreSQL must belong to: the owner of its directory, when we are root; else ourselves. */
export async function spoolOwnerFor(directory: string): Promise<SpoolOwner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(directory).catch((error: unknown) => {
    throw fileError("look at", directory, error);
  });
  return uid === 0 ? undefined : { uid, gid };
}
