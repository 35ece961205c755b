import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError } from "../common/errors.ts";
import type { Codec, EncoderOptions } from "./codec.ts";

/** A new encoder; `usage` for a format that can only be read. */
export function createEncoder(codec: Codec, options: EncoderOptions = {}): Duplex {
  if (codec.createEncoder !== undefined) return codec.createEncoder(options);
  throw new EngineError("usage", `compression "${codec.name}" can be read, but not written`, {
    hint: "Choose gzip, which every tool reads, or zstd, which is much faster.",
  });
}

/**
 * Compresses something that fits in memory, such as a WAL segment, and gives it as the pieces that `ObjectStore.put`
 * takes. As fast as `node:zlib`'s one-shot functions, and the source need not be one buffer. With `none` the pieces are
 * the source's own chunks.
 */
export async function compressPieces(
  codec: Codec,
  source: AsyncIterable<Uint8Array>,
  options: EncoderOptions & { readonly signal?: AbortSignal } = {},
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  const keep = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) pieces.push(chunk);
  };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  if (codec.name === "none") await pipeline(source, keep, signal);
  else await pipeline(source, createEncoder(codec, options), keep, signal);
  return pieces;
}
