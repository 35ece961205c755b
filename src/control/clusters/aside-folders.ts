import { lstat, mkdir, readdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";

/*
 * Folders of instances that were given up, with all their data, in `aside` of their cluster: `pg-1-20261122T101500Z`. A note in each
 * says when, why, and of which Cluster. Those without one (of an older version) are left alone.
 */

/** `replaced`: another instance of the same Cluster took its place. `orphaned`: its Cluster was not there any more. */
export type AsideReason = "replaced" | "orphaned";

const noteSchema = z.object({
  format: z.literal(1),
  reason: z.enum(["replaced", "orphaned"]),
  /** The uid of its Cluster. */
  owner: z.string().optional(),
  at: z.string(),
});

const noteName = "aside.json";

export interface AsideEntry {
  /** The folder. */
  readonly path: string;
  readonly putAsideAt: Date | undefined;
  readonly reason: AsideReason | undefined;
  readonly owner: string | undefined;
  /** On disk; undefined until it was counted. */
  readonly bytes: number | undefined;
}

/**
 * Moves the folder of an instance, of which nothing runs any more, to its cluster's `aside`, and gives its new place. A crash leaves
 * it where it was or there. Throws `file-io`, `disk-full`.
 */
export async function putAside(
  folder: string,
  aside: string,
  {
    reason,
    owner,
    at,
  }: { readonly reason: AsideReason; readonly owner: string | undefined; readonly at: Date },
): Promise<string> {
  const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const place = join(aside, `${basename(folder)}-${stamp}`);
  const note = { format: 1, reason, ...(owner === undefined ? {} : { owner }), at: at.toISOString() };
  try {
    await mkdir(aside, { recursive: true, mode: 0o700 });
    await writeDurableFile(join(folder, noteName), `${JSON.stringify(note)}\n`);
    await rename(folder, place);
    await syncDirectory(aside);
  } catch (error) {
    throw fileError("put aside", folder, error);
  }
  return place;
}

/** What lies aside, with sizes that are counted once: nobody writes there any more. */
export class AsideFolders {
  readonly #bytes = new Map<string, number | undefined>();

  /** In the order of their names; `onCounted` is called when a size has become known. Throws `file-io`. */
  async list(aside: string, onCounted: () => void): Promise<readonly AsideEntry[]> {
    const names = await namesIn(aside);
    return Promise.all(
      names.toSorted().map(async (name) => {
        const path = join(aside, name);
        if (!this.#bytes.has(path)) void this.#count(path, onCounted);
        return { path, ...(await readNote(path)), bytes: this.#bytes.get(path) };
      }),
    );
  }

  /** Never rejects. */
  async #count(path: string, onCounted: () => void): Promise<void> {
    this.#bytes.set(path, undefined);
    const bytes = await bytesIn(path).catch(() => undefined);
    if (bytes === undefined) return;
    this.#bytes.set(path, bytes);
    onCounted();
  }
}

async function readNote(folder: string): Promise<Pick<AsideEntry, "putAsideAt" | "reason" | "owner">> {
  const text = await readFile(join(folder, noteName), "utf8").catch(() => "{");
  try {
    const { at, reason, owner } = noteSchema.parse(JSON.parse(text));
    return { putAsideAt: new Date(at), reason, owner };
  } catch {
    return { putAsideAt: undefined, reason: undefined, owner: undefined };
  }
}

/** As `du` counts: blocks on disk, links not followed. */
async function bytesIn(path: string): Promise<number> {
  const stats = await lstat(path);
  const own = stats.blocks * 512;
  if (!stats.isDirectory()) return own;
  let sum = own;
  for (const name of await namesIn(path)) sum += await bytesIn(join(path, name));
  return sum;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", folder, error);
  }
}
