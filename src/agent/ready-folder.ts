import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Linux: a number that is drawn anew at every start of the machine. */
export const bootIdPath = "/proc/sys/kernel/random/boot_id";

/** What tells this run of the machine from the one before a power cut; undefined where the system does not say. */
export async function readBootId(path = bootIdPath): Promise<string | undefined> {
  try {
    const text = (await readFile(path, "utf8")).trim();
    return /^[\w-]+$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where files lie that were fetched ahead: `ready/<boot id>`. They are not synced, because most are replayed and removed
 * before the disk has seen them, and a sync would write them all. So those of before a power cut may be cut or full of
 * zeros under their final names; in a folder of their boot nobody finds them any more. Without a boot id the folder is
 * `ready` itself, and files must be synced before they appear there.
 */
export function readyFolderOf(root: string, bootId: string | undefined): string {
  return bootId === undefined ? join(root, "ready") : join(root, "ready", bootId);
}

/** Sets `$boot` in a POSIX shell so that `ready/"$boot"` is that folder. No process is started. */
export const readBootIdInShell = `boot=; { read -r boot <${bootIdPath}; } 2>/dev/null;`;
