import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { formatBytes, gib } from "../common/units.ts";
import type { RestorePart } from "./backup-parts.ts";

/** What will be written below one directory. */
export interface SpaceNeed {
  readonly directory: string;
  readonly bytes: number;
}

/** WAL kept in pg_wal during replay stays around `max_wal_size`, 1 GiB by default, however much is replayed. */
const walKeptBytes = gib;

/**
 * How much each directory needs. The tar's size counts where the manifest tells it; the stored size, which is less for
 * compressed parts, is the best that can be said of a backup without one.
 */
export function spaceNeeds(
  parts: readonly RestorePart[],
  directoryOf: (archive: RestorePart["archive"]) => string,
  walBytes: number,
): SpaceNeed[] {
  const byDirectory = new Map<string, number>([[directoryOf("data"), Math.min(walBytes, walKeptBytes)]]);
  for (const part of parts) {
    const directory = directoryOf(part.archive);
    byDirectory.set(directory, (byDirectory.get(directory) ?? 0) + (part.tarBytes ?? part.storedBytes));
  }
  return [...byDirectory].map(([directory, bytes]) => ({ directory, bytes }));
}

/** Throws `disk-full` when a file system has less free space than the directories on it need together. */
export async function requireDiskSpace(needs: readonly SpaceNeed[]): Promise<void> {
  const systems = new Map<number, { path: string; needed: number }>();
  for (const { directory, bytes } of needs) {
    const { path, device } = await nearestExisting(directory);
    const known = systems.get(device);
    systems.set(device, { path: known?.path ?? path, needed: (known?.needed ?? 0) + bytes });
  }
  for (const { path, needed } of systems.values()) {
    const { bavail, bsize } = await statfs(path);
    const free = bavail * bsize;
    if (free >= needed) continue;
    throw new EngineError(
      "disk-full",
      `the restore needs ${formatBytes(needed)} on the file system of "${path}", which has ${formatBytes(free)} free`,
      {
        hint: "Free some space, or restore to another file system.",
        details: { path, neededBytes: needed, freeBytes: free },
        retryable: false,
      },
    );
  }
}

async function nearestExisting(
  directory: string,
): Promise<{ readonly path: string; readonly device: number }> {
  for (let path = directory; ; path = dirname(path)) {
    try {
      return { path, device: (await stat(path)).dev };
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT" || path === dirname(path))
        throw fileError("look at", path, error);
    }
  }
}
