import type { Duplex } from "node:stream";

/**
 * Compression as stream stages. A codec belongs to an object by its file extension (`spec`: Barman Cloud's table), so
 * what an object is never has to be guessed from its bytes.
 */
export const codecNames = ["none", "gzip", "bzip2", "xz", "zstd", "lz4", "snappy"] as const;

export type CodecName = (typeof codecNames)[number];

export interface Codec {
  readonly name: CodecName;
  /** With its dot (`.gz`); empty for `none`. */
  readonly extension: string;
  /**
   * Whether damage of what our encoder wrote is certain to be noticed when decoding: the content has a checksum, and the
   * end is marked. (Other writers may leave out zstd's and lz4's checksum.)
   */
  readonly selfChecking: boolean;
  /** Undefined where no well-kept library writes this format: it can be read only. */
  readonly createEncoder: ((options?: EncoderOptions) => Duplex) | undefined;
  /**
   * Reads any number of members or frames one after the other, at least one (but for `none`). Damage, an early end and
   * anything else behind the last member fail the stream with `object-corrupt`; bytes may have come out before.
   */
  createDecoder(): Duplex;
}

export interface EncoderOptions {
  /** The codec's own scale; absent means its fast level (gzip 1, zstd 1, bzip2 1, xz 0). */
  readonly level?: number;
}
