import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Codec } from "../codec/codec.ts";
import { createEncoder } from "../codec/encode.ts";
import { encodeTarHeader, tarEnd, tarPadding } from "../codec/tar/header.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { createZstdFrameEncoder } from "../codec/zstd-frame-encoder.ts";
import type { LaneBuffers, LaneSlot } from "./lane-buffers.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import type { PartUpload, StoredPart } from "./part-upload.ts";

export interface ArchivePartOptions {
  readonly codec: Codec;
  readonly level: number | undefined;
  readonly upload: PartUpload;
  /** Free of content; the part uses them until `finish` or `abort` has settled. */
  readonly buffers: LaneBuffers;
  readonly signal: AbortSignal;
}

/** One object of a backup: a complete tar archive in one compression member, written to the stores as it grows. */
export class ArchivePart {
  readonly #buffers: LaneBuffers;
  /** Undefined for no compression: the upload copies, so nothing else needs to. */
  readonly #encoder: Duplex | undefined;
  readonly #upload: PartUpload;
  readonly #passedOn: Promise<void>;
  #tarBytes = 0;

  constructor(options: ArchivePartOptions) {
    const { codec, upload, signal } = options;
    this.#buffers = options.buffers;
    this.#upload = upload;
    this.#encoder = codec.name === "none" ? undefined : openEncoder(codec, options.level);
    this.#passedOn =
      this.#encoder === undefined
        ? Promise.resolve()
        : pipeline(
            this.#encoder,
            async (encoded: AsyncIterable<Buffer>) => {
              for await (const chunk of encoded) {
                await upload.write(chunk);
                releaseChunk(chunk);
              }
            },
            { signal },
          );
    // Its failure also fails the next write to the encoder, and `finish` reports it.
    this.#passedOn.catch(() => undefined);
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
    await this.#attempt(this.#buffers.turn(async (bytes) => this.#encode(bytes)));
  }

  async #encode(bytes: Buffer): Promise<void> {
    const encoder = this.#encoder;
    if (encoder === undefined) {
      await this.#upload.write(bytes);
      return;
    }
    // Every encoder has done with its input when the callback comes (tested for each), so the slot can be filled anew.
    await new Promise<void>((resolve, reject) => {
      // A stream that is destroyed need not answer the write that it was busy with.
      this.#passedOn.catch(reject);
      encoder.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Ends the archive and makes the object visible. */
  async finish(): Promise<StoredPart & { readonly tarBytes: number }> {
    await this.addBytes(tarEnd(this.#tarBytes));
    await this.#flush();
    await this.#attempt(this.#buffers.settled());
    this.#encoder?.end();
    await this.#passedOn;
    return { ...(await this.#upload.finish()), tarBytes: this.#tarBytes };
  }

  /** Gives everything up; best effort. Never throws. */
  async abort(): Promise<void> {
    this.#encoder?.destroy();
    await Promise.allSettled([this.#passedOn, this.#buffers.settled()]);
    await this.#upload.abort();
    this.#buffers.reset();
  }

  /** A failed upload shows as a destroyed encoder: reports the upload's error, not that one. */
  async #attempt(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      await this.#passedOn;
      throw error;
    }
  }
}

function openEncoder(codec: Codec, level: number | undefined): Duplex {
  const options = level === undefined ? {} : { level };
  return codec.name === "zstd" ? createZstdFrameEncoder(options) : createEncoder(codec, options);
}
