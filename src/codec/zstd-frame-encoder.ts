import { availableParallelism } from "node:os";
import { constants, ZstdCompress } from "node:zlib";
import { mib } from "../common/units.ts";
import type { EncoderOptions } from "./codec.ts";
import { StreamWorkers } from "./stream-worker.ts";

/** Content of a frame at most. Ours have no more, so a reader may decode each by itself. */
export const frameContentBytes = mib;

/**
 * Zstandard with a frame for every chunk, several chunks at the same time: for writers whose chunks are large (up to
 * `frameContentBytes`). The frames one after the other are an ordinary `.zst` file.
 *
 * A sixth less work than one long frame (1.6 s against 1.9 s for 0.9 GB of tables, level 1): the window takes in the whole
 * chunk, so libzstd never has to match across the seam of its ring buffer. The output hardly grows, because level 1 finds
 * little beyond that. Each frame says its size, has a checksum, and can be decoded on its own.
 */
export class ZstdFrameEncoder implements Disposable {
  readonly #workers: StreamWorkers;

  /** `concurrency` frames are compressed at a time; more wait. */
  constructor(options: EncoderOptions & { readonly concurrency?: number } = {}) {
    const { level = 1, concurrency = availableParallelism() + 1 } = options;
    this.#workers = new StreamWorkers(
      concurrency,
      () =>
        new ZstdCompress({
          chunkSize: frameContentBytes,
          flush: constants.ZSTD_e_end,
          params: {
            [constants.ZSTD_c_compressionLevel]: level,
            [constants.ZSTD_c_checksumFlag]: 1,
            [constants.ZSTD_c_windowLog]: Math.log2(frameContentBytes),
          },
        }),
    );
  }

  /** The chunk as one frame, in pieces. The chunk is done with when this settles. */
  async encode(chunk: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#workers.run([chunk]);
  }

  /** To be called when nothing is being encoded. */
  [Symbol.dispose](): void {
    this.#workers[Symbol.dispose]();
  }
}
