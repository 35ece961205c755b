import { watch, type FSWatcher } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";

/** The WAL files that PostgreSQL has marked `.ready`; none while there is no folder. */
export async function readReadyFiles(walDirectory: string): Promise<WalFileName[]> {
  const directory = join(walDirectory, "archive_status");
  try {
    return (await readdir(directory)).flatMap((name) => readyFile(name) ?? []);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", directory, error);
  }
}

function readyFile(name: string): WalFileName | undefined {
  return name.endsWith(".ready") ? parseWalFileName(name.slice(0, -".ready".length)) : undefined;
}

/** What an entry that appeared or went away in `archive_status` says. */
export type StatusChange =
  | { readonly kind: "ready"; readonly file: WalFileName }
  | { readonly kind: "done"; readonly name: string };

export function statusChange(name: string): StatusChange | undefined {
  if (name.endsWith(".done")) return { kind: "done", name: name.slice(0, -".done".length) };
  const file = readyFile(name);
  return file === undefined ? undefined : { kind: "ready", file };
}

/**
 * Calls `onName` for every name that appears in or leaves a folder, soon but not surely: watching is a hint, and whoever
 * watches also looks from time to time. `onEnd` is called once when watching ended (the folder went away) or did not
 * begin.
 */
export function watchNames(
  folder: string,
  onName: (name: string) => void,
  onEnd: () => void,
): { close(): void } {
  let watcher: FSWatcher | undefined;
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    watcher?.close();
    onEnd();
  };
  try {
    watcher = watch(folder, { persistent: false }, (event, name) => {
      if (event === "rename" && name !== null) onName(name);
    });
    watcher.on("error", end);
  } catch {
    queueMicrotask(end);
  }
  return {
    close: () => {
      isOver = true;
      watcher?.close();
    },
  };
}

/** A folder that is watched, again whenever watching ended. */
export class WatchedFolder {
  readonly #folder: string;
  readonly #onName: (name: string) => void;
  #watcher: { close(): void } | undefined;

  constructor(folder: string, onName: (name: string) => void) {
    this.#folder = folder;
    this.#onName = onName;
  }

  watch(): void {
    this.#watcher ??= watchNames(this.#folder, this.#onName, () => {
      this.#watcher = undefined;
    });
  }

  close(): void {
    this.#watcher?.close();
  }
}
