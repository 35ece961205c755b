import type { TransformCallback } from "node:stream";
import { constants, ZstdCompress, ZstdDecompress } from "node:zlib";
import { decoderStreamOptions, encoderStreamOptions } from "./chunk-sizes.ts";
import type { Codec } from "./codec.ts";
import { nativeDecodeError } from "./corrupt.ts";
import { ZstdFrames } from "./zstd-frames.ts";

/**
 * Zstandard (RFC 8878) by Node's own libzstd: one frame with a content checksum. The decoder reads any number of frames,
 * skippable ones too, with windows up to 128 MiB. Frames of other writers may lack the checksum.
 */
export const zstd: Codec = {
  name: "zstd",
  extension: ".zst",
  selfChecking: true,
  createEncoder: (options = {}) =>
    new ZstdCompress({
      ...encoderStreamOptions,
      params: {
        [constants.ZSTD_c_compressionLevel]: options.level ?? 1,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    }),
  createDecoder: () => new ZstdDecoder(),
};

class ZstdDecoder extends ZstdDecompress {
  readonly #frames = new ZstdFrames();

  constructor() {
    super({ ...decoderStreamOptions, rejectGarbageAfterEnd: true });
  }

  /** Feeds libzstd at most up to the end of a frame at a time: Node drops what follows one in the same write. */
  override _transform(chunk: Buffer, encoding: BufferEncoding, callback: TransformCallback): void {
    const feed = (start: number): void => {
      const end = this.#frames.frameEnd(chunk, start);
      const isLast = end === chunk.length;
      super._transform(chunk.subarray(start, end), encoding, (error) => {
        if (isLast || error || this.destroyed) callback(error);
        else attempt(end);
      });
    };
    const attempt = (start: number): void => {
      try {
        feed(start);
      } catch (error) {
        callback(error instanceof Error ? error : new Error(String(error)));
      }
    };
    attempt(0);
  }

  override _flush(callback: TransformCallback): void {
    try {
      this.#frames.assertComplete();
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    // Nothing is left inside libzstd: a frame whose last byte went in has given its last byte out.
    callback();
  }

  override destroy(error?: Error): this {
    return super.destroy(error && nativeDecodeError("zstd", error));
  }
}
