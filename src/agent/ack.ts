import { open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { syncDirectory, temporaryPathFor } from "../common/durable-file.ts";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { formatSystemIdentifier, type SystemIdentifier } from "../postgres/system-identifier.ts";
import { isContentChecksum, type ContentChecksum } from "../archive/content-checksum.ts";
import { removeFile, removeUnfinished, spoolNames, writeSpoolFile, type Spool } from "./spool.ts";

/** What was archived: enough to tell whether the file that lies in pg_wal now is still the same. */
export interface Ack {
  readonly name: string;
  readonly sizeBytes: number;
  readonly checksum: ContentChecksum;
  /** When the file was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Who had it when it was acknowledged: name and `repositoryAddress`. */
  readonly repositories: Readonly<Record<string, string>>;
}

const schema = z.object({
  name: z.string(),
  systemIdentifier: z.string(),
  sizeBytes: z.number().int(),
  checksum: z.string().refine(isContentChecksum),
  mtimeNs: z.string().regex(/^\d+$/),
  repositories: z.record(z.string(), z.string()),
});

/**
 * The time an acknowledgement gets: the next full second after the file was last written, never the present time.
 *
 * `test ACK -nt FILE` compares whole seconds in busybox and older dash, nanoseconds elsewhere, so nothing sooner is newer
 * everywhere, and anything later would cover for a file written again in the meantime. It also makes the comparison
 * independent of the clock of today: a clock that was set back does not make an acknowledgement look old.
 */
export function ackTime(mtimeNs: bigint): Date {
  return new Date(Number(mtimeNs / 1_000_000_000n + 1n) * 1000);
}

/**
 * The time of the second mark: just before the second in which the file was last written, in whole seconds and finer ones
 * alike. A file that is not newer is another one, however old: a saved data directory that was put back with its times,
 * or one written after the clock was set back.
 */
export function sinceTime(mtimeNs: bigint): Date {
  return new Date(Number(mtimeNs / 1_000_000_000n) * 1000 - 1);
}

/**
 * The acknowledgements of one spool. They are written only after the repositories have the file durably, so that one
 * that exists is true, and one that a crash took is only work to do again.
 */
export class Acks {
  readonly #spool: Spool;
  readonly #systemIdentifier: SystemIdentifier;
  readonly #isEnough: (ack: Ack) => Promise<boolean>;
  /** The names that may have one: what only a look at the disk tells is known to be absent, mostly. */
  #names: Set<string> | undefined;
  #gathering: { readonly acks: Ack[]; readonly written: Promise<void> } | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `isEnough` judges those of an earlier agent, which may have had other repositories or another policy. */
  constructor(
    spool: Spool,
    systemIdentifier: SystemIdentifier,
    isEnough: (ack: Ack) => Promise<boolean> = async () => true,
  ) {
    this.#spool = spool;
    this.#systemIdentifier = systemIdentifier;
    this.#isEnough = isEnough;
  }

  /** Durable on return. Those that arrive while others are being written go together, with one sync of the folder. */
  async write(ack: Ack): Promise<void> {
    if (this.#gathering !== undefined) {
      this.#gathering.acks.push(ack);
      return this.#gathering.written;
    }
    const acks = [ack];
    const written = this.#writing
      .catch(() => undefined)
      .then(async () => {
        this.#gathering = undefined;
        await this.#writeAll(acks);
      });
    this.#gathering = { acks, written };
    this.#writing = written;
    return written;
  }

  async #writeAll(acks: readonly Ack[]): Promise<void> {
    for (const { name } of acks) this.#names?.add(name);
    await Promise.all(acks.map(async (ack) => this.#writeSince(ack)));
    await Promise.all(acks.map(async (ack) => this.#writeOne(ack)));
    await syncDirectory(this.#spool.ack);
  }

  async #writeOne(ack: Ack): Promise<void> {
    const path = this.#path(ack.name);
    const temporary = temporaryPathFor(path);
    const text = JSON.stringify({
      name: ack.name,
      systemIdentifier: formatSystemIdentifier(this.#systemIdentifier),
      sizeBytes: ack.sizeBytes,
      checksum: ack.checksum,
      mtimeNs: ack.mtimeNs.toString(),
      repositories: ack.repositories,
    });
    try {
      const handle = await open(temporary, "wx", 0o600);
      try {
        await handle.writeFile(`${text}\n`);
        const { owner } = this.#spool;
        if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
        const time = ackTime(ack.mtimeNs);
        await handle.utimes(time, time);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw fileError("write", path, error);
    }
  }

  /** Not synced: without it, or with another time, the acknowledgement does not count and the file is compared again. */
  async #writeSince({ name, mtimeNs }: Pick<Ack, "name" | "mtimeNs">): Promise<void> {
    const { since, owner } = this.#spool;
    await writeSpoolFile(join(since, name), "", { owner, mtime: sinceTime(mtimeNs) });
  }

  /** The acknowledgement of a file, or undefined when there is none that can be read and is of this system. */
  async read(name: string): Promise<Ack | undefined> {
    try {
      const value = schema.parse(JSON.parse(await readFile(this.#path(name), "utf8")));
      const isOurs =
        value.name === name && value.systemIdentifier === formatSystemIdentifier(this.#systemIdentifier);
      if (!isOurs) return undefined;
      return { ...value, mtimeNs: BigInt(value.mtimeNs) };
    } catch {
      // Whatever is wrong with it: without it the file is compared once more.
      return undefined;
    }
  }

  /**
   * Whether the file at `path` is acknowledged as it is now. An acknowledgement of an earlier writing of it is dropped.
   */
  async covers(name: string, path: string): Promise<boolean> {
    this.#names ??= new Set(await spoolNames(this.#spool.ack));
    if (!this.#names.has(name)) return false;
    const ack = await this.read(name);
    if (ack !== undefined && (await this.#isEnough(ack))) {
      const stats = await statOrUndefined(path);
      if (stats === undefined) return false;
      if (stats.mtimeNs === ack.mtimeNs && Number(stats.size) === ack.sizeBytes) {
        // In case only the times were lost, by a copy of the spool for example.
        await this.#writeSince(ack);
        const time = ackTime(ack.mtimeNs);
        await utimes(this.#path(name), time, time);
        return true;
      }
    }
    await this.drop(name);
    return false;
  }

  /** Not synced: an acknowledgement that comes back after a crash is still true. */
  async drop(name: string): Promise<void> {
    await removeFile(this.#path(name));
    await removeFile(join(this.#spool.since, name));
    this.#names?.delete(name);
  }

  async names(): Promise<string[]> {
    return spoolNames(this.#spool.ack);
  }

  /** Drops what an earlier agent acknowledged and this one would not: archive_command reads no content. */
  async dropOutdated(): Promise<void> {
    for (const name of await this.names()) {
      const ack = await this.read(name);
      if (ack === undefined || !(await this.#isEnough(ack))) await this.drop(name);
    }
  }

  /** Removes what a killed agent was writing. */
  async clean(): Promise<void> {
    await removeUnfinished(this.#spool.ack);
    await removeUnfinished(this.#spool.since);
  }

  #path(name: string): string {
    return join(this.#spool.ack, name);
  }
}

async function statOrUndefined(path: string) {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}
