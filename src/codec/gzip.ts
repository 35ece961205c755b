import type { TransformCallback } from "node:stream";
import { constants, Gunzip, Gzip } from "node:zlib";
import { decoderStreamOptions, encoderStreamOptions } from "./chunk-sizes.ts";
import type { Codec } from "./codec.ts";
import { nativeDecodeError, trailingData } from "./corrupt.ts";

/**
 * Gzip (RFC 1952) by Node's own zlib. The encoder writes exactly one member, which is all that Barman reads of a base
 * backup. The decoder reads any number of members; whatever follows the last one is refused, zero bytes included:
 * stored objects are never padded, so a tail of zeros is the mark of a torn write.
 */
export const gzip: Codec = {
  name: "gzip",
  extension: ".gz",
  selfChecking: true,
  createEncoder: (options = {}) =>
    new Gzip({
      level: options.level ?? constants.Z_BEST_SPEED,
      ...encoderStreamOptions,
    }),
  createDecoder: () => new GzipDecoder(),
};

class GzipDecoder extends Gunzip {
  #fedBytes = 0;

  constructor() {
    super({ ...decoderStreamOptions });
  }

  /**
   * Node ends the stream without an error at a zero byte behind a member, whatever follows it. (Its option
   * `rejectGarbageAfterEnd` refuses a second member too.) What it left unread tells.
   */
  override _transform(chunk: Buffer, encoding: BufferEncoding, callback: TransformCallback): void {
    this.#fedBytes += chunk.length;
    super._transform(chunk, encoding, (error) => {
      const unread = this.#fedBytes - this.bytesWritten;
      callback(error ?? (unread > 0 && !this.destroyed ? trailingData("gzip") : undefined));
    });
  }

  override destroy(error?: Error): this {
    return super.destroy(error && nativeDecodeError("gzip", error));
  }
}
