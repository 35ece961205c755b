import { availableParallelism } from "node:os";
import { constants, ZstdCompress } from "node:zlib";
import { releaseChunk } from "../common/release-chunk.ts";
import { mib } from "../common/units.ts";
import type { EncoderOptions } from "./codec.ts";
import { StreamWorkers } from "./stream-worker.ts";
import { ZstdFrames } from "./zstd-frames.ts";

/** Content of a frame of a backup at most. A reader may decode each by itself. */
export const frameContentBytes = mib;

export interface FrameEncoderOptions extends EncoderOptions {
  /** How many frames are compressed at a time; more wait. */
  readonly concurrency?: number;
  /** Base-2 logarithm of how far back a match may lie; default: libzstd's choice for the level. */
  readonly windowLog?: number;
}

/**
 * Zstandard with a frame for every chunk, several chunks at the same time, by contexts that are made once. The frames of
 * several chunks one after the other are an ordinary `.zst` file. Each frame has a checksum, says its size where its chunk
 * is no larger than `frameContentBytes`, and can be decoded on its own.
 *
 * A sixth to a quarter less work than a stream that is made anew (easy WAL: 15 ms instead of 20 for 16 MiB at level 1).
 */
export class ZstdFrameEncoder implements Disposable {
  readonly #workers: StreamWorkers;

  constructor({ level = 1, concurrency, windowLog }: FrameEncoderOptions = {}) {
    this.#workers = new StreamWorkers(
      concurrency ?? availableParallelism() + 1,
      () =>
        new ZstdCompress({
          chunkSize: frameContentBytes,
          flush: constants.ZSTD_e_end,
          params: {
            [constants.ZSTD_c_compressionLevel]: level,
            [constants.ZSTD_c_checksumFlag]: 1,
            ...(windowLog === undefined ? {} : { [constants.ZSTD_c_windowLog]: windowLog }),
          },
        }),
    );
  }

  /** The chunk as one frame, in pieces. The chunk is done with when this settles. */
  async encode(chunk: Uint8Array): Promise<readonly Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    await this.encodeTo(chunk, (piece) => pieces.push(piece));
    return pieces;
  }

  /** The same; each piece is handed to `take` when it comes, and is its own to give back (`releaseChunk`). */
  async encodeTo(chunk: Uint8Array, take: (piece: Uint8Array) => void): Promise<void> {
    const frames = new ZstdFrames();
    let hasEnded = false;
    await this.#workers.run([chunk], (piece) => {
      // When a frame's last byte fills Node's buffer, Node asks libzstd for more, and gets another frame of nothing.
      if (hasEnded) {
        releaseChunk(piece);
        return;
      }
      hasEnded = frames.frameEnd(piece, 0) === piece.length && frames.isBetween;
      take(piece);
    });
  }

  /** Lets go of contexts and memory that nothing uses just now. */
  trim(): void {
    this.#workers.trim();
  }

  /** To be called when nothing is being encoded. */
  [Symbol.dispose](): void {
    this.#workers[Symbol.dispose]();
  }
}
