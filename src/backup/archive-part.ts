import { encodeTarHeader, tarEnd, tarPadding } from "../codec/tar/header.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import type { LaneBuffers, LaneSlot } from "./lane-buffers.ts";
import type { PartEncoder } from "./part-encoder.ts";
import type { PartUpload } from "./part-upload.ts";

/** The part in one of its forms. */
export interface PartStream {
  readonly encoder: PartEncoder;
  /** Where the encoder passes on to. */
  readonly upload: PartUpload;
}

export interface ArchivePartOptions {
  /** One for each form in which it is stored. */
  readonly streams: readonly PartStream[];
  /** Free of content; the part uses them until `end` or `abort` has settled. */
  readonly buffers: LaneBuffers;
}

/** One part of a backup: a complete tar archive, compressed once for each form, written to the stores as it grows. */
export class ArchivePart {
  readonly #buffers: LaneBuffers;
  readonly #streams: readonly PartStream[];
  #tarBytes = 0;
  #hasEnded = false;

  constructor({ streams, buffers }: ArchivePartOptions) {
    this.#streams = streams;
    this.#buffers = buffers;
  }

  get tarBytes(): number {
    return this.#tarBytes;
  }

  /** Header of a member; for a file, `reserve` or `emptySlot` and `filled` bring its bytes, and `pad` ends it. */
  async addHeader(entry: TarEntry): Promise<void> {
    await this.addBytes(encodeTarHeader(entry));
  }

  /** Zero bytes up to the next header. */
  async pad(bodyBytes: number): Promise<void> {
    await this.addBytes(tarPadding(bodyBytes));
  }

  async addBytes(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#buffers.roomBytes === 0) await this.#flush();
      const room = this.#buffers.rest().subarray(0, rest.length);
      room.set(rest.subarray(0, room.length));
      this.filled(room.length);
      rest = rest.subarray(room.length);
    }
  }

  /** Room for `bytes` bytes (at most a slot) in one piece, to be written by the caller, who then says `filled`. */
  async reserve(bytes: number): Promise<Buffer> {
    if (this.#buffers.roomBytes < bytes) await this.#flush();
    return this.#buffers.rest().subarray(0, bytes);
  }

  /** A slot with nothing in it. */
  async emptySlot(): Promise<LaneSlot> {
    if (this.#buffers.filledBytes > 0) await this.#flush();
    return this.#buffers.slot;
  }

  /** Takes the next `bytes` bytes of the slot as part of the archive. */
  filled(bytes: number): void {
    this.#buffers.take(bytes);
    this.#tarBytes += bytes;
  }

  async #flush(): Promise<void> {
    await this.#buffers.turn(async (bytes) => this.#encode(bytes));
  }

  async #encode(bytes: Buffer): Promise<void> {
    const writes = this.#streams
      .filter(({ upload }) => upload.isWanted)
      .map(async ({ encoder }) => encoder.write(bytes));
    // All to their ends, so that nothing reads the bytes any more when this settles.
    await Promise.allSettled(writes);
    await Promise.all(writes);
  }

  /** Ends the archive. Afterwards the buffers are free for another part. */
  async end(): Promise<void> {
    await this.addBytes(tarEnd(this.#tarBytes));
    await this.#flush();
    await this.#buffers.settled();
    await Promise.all(
      this.#streams.map(async ({ encoder, upload }) => (upload.isWanted ? encoder.end() : encoder.abort())),
    );
    this.#hasEnded = true;
  }

  /** Gives everything up; best effort. Never throws. */
  async abort(): Promise<void> {
    if (!this.#hasEnded) {
      await Promise.all(this.#streams.map(async ({ encoder }) => encoder.abort()));
      await Promise.allSettled([this.#buffers.settled()]);
      this.#buffers.reset();
    }
    await Promise.all(this.#streams.map(async ({ upload }) => upload.abort()));
  }
}
