/**
 * Directories as a store needs them: made on demand, and known to survive a crash. A new file is durable only when its
 * directory was synced *and* every directory entry on the way up to the root was.
 */
import type { BigIntStats } from "node:fs";
import { chown, mkdir, open, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../common/durable-file.ts";
import { systemErrorCode } from "../../common/errors.ts";
import { ownerToBe } from "./owner.ts";

export class DurableTree {
  readonly #root: string;
  readonly #mode: number;
  /** Directory → identity under which its way to the root was synced by this process. */
  readonly #synced = new Map<string, string>();

  constructor(root: string, mode: number) {
    this.#root = root;
    this.#mode = mode;
  }

  /** Makes a directory below the root and its parents; existing ones are fine. The root itself is never made. */
  async make(path: string): Promise<void> {
    if (path === this.#root) return;
    try {
      await mkdir(path, { mode: this.#mode });
      const owner = await ownerToBe(dirname(path));
      if (owner !== undefined) await chown(path, owner.uid, owner.gid);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === "EEXIST") return;
      if (code !== "ENOENT" || dirname(path) === this.#root) throw error;
      await this.make(dirname(path));
      await this.make(path);
    }
  }

  /**
   * Makes the entries of `path` durable. On the first time for this directory also its way up to the root, whoever made
   * it: another writer may have made it a moment ago and not have synced it yet. Its identity is compared because an
   * emptied directory is removed and may have been made again since.
   */
  async sync(path: string): Promise<void> {
    const handle = await open(path, "r");
    try {
      await handle.sync();
      if (path === this.#root) return;
      const identity = identityOf(await handle.stat({ bigint: true }));
      if (this.#synced.get(path) === identity) return;
      for (let above = dirname(path); ; above = dirname(above)) {
        await syncDirectory(above);
        if (above === this.#root) break;
      }
      this.#synced.set(path, identity);
    } finally {
      await handle.close();
    }
  }

  /** Removes `path` and its parents as far as they are empty, below the root, and makes that durable. */
  async prune(path: string): Promise<void> {
    let at = path;
    while (at !== this.#root) {
      try {
        await rmdir(at);
      } catch (error) {
        // Still in use, already gone, or not ours to remove: the objects are gone, which is what was asked for.
        if (systemErrorCode(error) !== "ENOENT") break;
      }
      this.#synced.delete(at);
      at = dirname(at);
    }
    try {
      await syncDirectory(at);
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT") throw error;
    }
  }
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
}
