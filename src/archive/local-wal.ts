import type { BigIntStats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { EngineError, fileError } from "../common/errors.ts";
import { kib, mib } from "../common/units.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import { checkWalHead, checkWalText, textFileLimitBytes } from "../repository/wal-file-check.ts";
import { formatCrc32Checksum, type ContentChecksum } from "./content-checksum.ts";

/** The PostgreSQL system that a WAL file must come from. */
export interface ExpectedSystem {
  readonly systemIdentifier: SystemIdentifier;
  readonly walSegmentSizeBytes: number;
}

/** A WAL file on the local disk, opened and found to be what its name says. */
export class LocalWal implements AsyncDisposable {
  readonly path: string;
  readonly file: WalFileName;
  readonly sizeBytes: number;
  /** When it was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly #handle: FileHandle;

  private constructor(path: string, file: WalFileName, handle: FileHandle, stats: BigIntStats) {
    this.path = path;
    this.file = file;
    this.sizeBytes = Number(stats.size);
    this.mtimeNs = stats.mtimeNs;
    this.#handle = handle;
  }

  /** Throws `file-io` when it cannot be read, `wal-refused` when it is not what its name says. */
  static async open(path: string, file: WalFileName, expected: ExpectedSystem): Promise<LocalWal> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, "r");
      const local = new LocalWal(path, file, handle, await handle.stat({ bigint: true }));
      await local.#check(expected);
      return local;
    } catch (error) {
      await handle?.close();
      throw fileError("read", path, error);
    }
  }

  async #check(expected: ExpectedSystem): Promise<void> {
    const { file, sizeBytes } = this;
    if (file.kind === "segment" || file.kind === "partial") {
      const head = Buffer.alloc(Math.min(8 * kib, sizeBytes));
      await this.#fill(head, 0);
      checkWalHead(file, head, { sizeBytes, ...expected });
      return;
    }
    if (sizeBytes > textFileLimitBytes) {
      throw new EngineError("wal-refused", `refused WAL file "${file.name}": it has ${sizeBytes} bytes`, {
        hint: "History and label files are a few lines of text.",
      });
    }
    const text = Buffer.alloc(sizeBytes);
    await this.#fill(text, 0);
    checkWalText(file, text);
  }

  /** Fills a buffer of `sizeBytes` with the whole file. Throws `wal-refused` when it became shorter. */
  async readWhole(into: Buffer): Promise<void> {
    try {
      await this.#fill(into, 0);
    } catch (error) {
      throw fileError("read", this.path, error);
    }
  }

  /** The content in chunks; each chunk is the consumer's own. */
  async *chunks(chunkBytes = mib): AsyncGenerator<Buffer, void, undefined> {
    for (let position = 0; position < this.sizeBytes;) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, this.sizeBytes - position));
      try {
        await this.#fill(chunk, position);
      } catch (error) {
        throw fileError("read", this.path, error);
      }
      position += chunk.length;
      yield chunk;
    }
  }

  /** Reads all of it for its checksum. Throws `wal-refused` as `requireUnchanged` does. */
  async checksum(): Promise<ContentChecksum> {
    let sum = 0;
    for await (const chunk of this.chunks()) sum = crc32(chunk, sum);
    await this.requireUnchanged();
    return formatCrc32Checksum(sum);
  }

  /** Throws `wal-refused` when the file was written to since it was opened: what was read may be two halves. */
  async requireUnchanged(): Promise<void> {
    const now = await this.#handle.stat({ bigint: true });
    if (Number(now.size) === this.sizeBytes && now.mtimeNs === this.mtimeNs) return;
    throw new EngineError(
      "wal-refused",
      `refused WAL file "${this.file.name}": it was written to while it was being read`,
      {
        hint: "PostgreSQL never changes a finished segment. Does something else write to pg_wal?",
        details: { segment: this.file.name },
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #fill(buffer: Buffer, position: number): Promise<void> {
    for (let filled = 0; filled < buffer.length;) {
      const { bytesRead } = await this.#handle.read(
        buffer,
        filled,
        buffer.length - filled,
        position + filled,
      );
      if (bytesRead === 0) {
        throw new EngineError(
          "wal-refused",
          `refused WAL file "${this.file.name}": it was cut short while it was being read`,
        );
      }
      filled += bytesRead;
    }
  }
}
