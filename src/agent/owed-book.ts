import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeDurableFile } from "../common/durable-file.ts";
import { EngineError, fileError } from "../common/errors.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import { spoolNames, type Spool } from "./spool.ts";

/** A WAL file that was acknowledged while some repositories were without it. */
export interface Owed {
  readonly file: WalFileName;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** The repositories that are still without it. */
  readonly repositories: readonly string[];
}

const schema = z.object({
  sizeBytes: z.number().int(),
  mtimeNs: z.string().regex(/^\d+$/),
  repositories: z.array(z.string()),
});

/** However long an outage lasts, there are no more notes than this; what came later is found by comparing listings. */
const mostNotes = 2000;

/**
 * What the policy let us acknowledge early. Written durably before the acknowledgement, because PostgreSQL forgets the
 * file after it; then only a comparison of the repositories' listings (`wal-survey.ts`) would tell that one has a gap.
 * When there are too many notes that is what it is left to: it is made at every start, and after every outage.
 */
export class OwedBook {
  readonly #spool: Spool;
  readonly #limit: number;
  #known: Map<string, Owed> | undefined;
  /** Files without a note, by repository. */
  readonly #unnoted = new Map<string, number>();
  /** Changes, one after the other. */
  #changes: Promise<void> = Promise.resolve();

  constructor(spool: Spool, limit = mostNotes) {
    this.#spool = spool;
    this.#limit = limit;
  }

  async all(): Promise<readonly Owed[]> {
    return [...(await this.#load()).values()];
  }

  /** What is owed of this WAL file, if a note says so. */
  async of(name: string): Promise<Owed | undefined> {
    return (await this.#load()).get(name);
  }

  /** How many files a repository is owed of which there is no note. */
  unnoted(repository: string): number {
    return this.#unnoted.get(repository) ?? 0;
  }

  /** Its listing was compared: what is missing there is known now, with a note or without. */
  surveyed(repository: string): void {
    this.#unnoted.delete(repository);
  }

  /** Notes that these repositories are without the file. Durable on return, but beyond the limit. */
  async write(owed: Owed): Promise<void> {
    return this.#change(async (known) => {
      if (known.size < this.#limit || known.has(owed.file.name)) return this.#store(known, owed);
      for (const name of owed.repositories) this.#unnoted.set(name, this.unnoted(name) + 1);
    });
  }

  /** This repository has the file now. */
  async pay(fileName: string, repository: string): Promise<void> {
    return this.#change(async (known) => {
      const owed = known.get(fileName);
      if (owed === undefined) {
        const unnoted = this.unnoted(repository);
        if (unnoted > 0) this.#unnoted.set(repository, unnoted - 1);
        return;
      }
      const repositories = owed.repositories.filter((name) => name !== repository);
      if (repositories.length < owed.repositories.length) await this.#store(known, { ...owed, repositories });
    });
  }

  async #change(change: (known: Map<string, Owed>) => Promise<void>): Promise<void> {
    const done = this.#changes.then(async () => change(await this.#load()));
    this.#changes = done.catch(() => undefined);
    return done;
  }

  async #store(known: Map<string, Owed>, owed: Owed): Promise<void> {
    const path = join(this.#spool.owed, owed.file.name);
    if (owed.repositories.length === 0) {
      await rm(path, { force: true });
      known.delete(owed.file.name);
      return;
    }
    const { sizeBytes, mtimeNs, repositories } = owed;
    await writeDurableFile(
      path,
      `${JSON.stringify({ sizeBytes, mtimeNs: mtimeNs.toString(), repositories })}\n`,
      0o600,
      this.#spool.owner,
    );
    known.set(owed.file.name, owed);
  }

  async #load(): Promise<Map<string, Owed>> {
    if (this.#known !== undefined) return this.#known;
    const known = new Map<string, Owed>();
    for (const name of (await spoolNames(this.#spool.owed)).sort()) {
      const file = parseWalFileName(name);
      if (file === undefined) continue;
      known.set(name, await readOwed(join(this.#spool.owed, name), file));
    }
    this.#known ??= known;
    return this.#known;
  }
}

/** A note that cannot be read is no reason to forget that there is one. Throws `file-io`. */
async function readOwed(path: string, file: WalFileName): Promise<Owed> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError("read", path, error);
  }
  try {
    const value = schema.parse(JSON.parse(text));
    return { file, ...value, mtimeNs: BigInt(value.mtimeNs) };
  } catch (cause) {
    throw new EngineError("file-io", `could not read "${path}": it does not say what is owed`, {
      cause,
      hint: `The repositories that were down when WAL file "${file.name}" was archived may be without it: look whether they have it, then remove the note.`,
    });
  }
}
