import { constants, ZstdCompress } from "node:zlib";
import { mib } from "../common/units.ts";
import type { EncoderOptions } from "./codec.ts";

const streamOptions = { chunkSize: mib, highWaterMark: mib } as const;

/**
 * Zstandard with a frame for every chunk that is written, for writers whose chunks are large (up to a MiB). The frames
 * one after the other, and an empty one at the end, are an ordinary `.zst` file.
 *
 * A sixth less work than one long frame (1.6 s against 1.9 s for 0.9 GB of tables, level 1): the window takes in the whole
 * chunk, so libzstd never has to match across the seam of its ring buffer. The output hardly grows, because level 1 finds
 * little beyond that. Each frame says its size, has a checksum, and can be decoded on its own.
 *
 * The chunk is done with when the write's callback comes.
 */
export function createZstdFrameEncoder(options: EncoderOptions = {}): ZstdCompress {
  return new ZstdCompress({
    ...streamOptions,
    flush: constants.ZSTD_e_end,
    params: {
      [constants.ZSTD_c_compressionLevel]: options.level ?? 1,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_windowLog]: Math.log2(mib),
    },
  });
}
