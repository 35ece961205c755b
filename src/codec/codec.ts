import type { Transform } from "node:stream";

/**
 * Compression as stream stages. A codec belongs to an object by its file extension (`spec`: Barman Cloud's table), so
 * what an object is never has to be guessed from its bytes.
 */
export type CodecName = "none" | "gzip" | "bzip2" | "xz" | "zstd" | "lz4" | "snappy";

export interface Codec {
  readonly name: CodecName;
  /** With its dot (`.gz`); empty for `none`. */
  readonly extension: string;
  /** Whether damage of any byte is certain to be noticed when decoding (a checksum over the content, and its end marked). */
  readonly selfChecking: boolean;
  /** Undefined where no well-kept library writes this format: it can be read only. */
  readonly createEncoder: ((options?: EncoderOptions) => Transform) | undefined;
  /** Reads any number of members or frames one after the other; fails on damage and on an early end. */
  createDecoder(): Transform;
}

export interface EncoderOptions {
  /** The codec's own scale; absent means its fast level (gzip 1, zstd 1, bzip2 1, xz 0). */
  readonly level?: number;
}
