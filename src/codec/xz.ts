import { ReadableStream } from "node:stream/web";
import type * as Lzma from "@napi-rs/lzma";
import type { Codec } from "./codec.ts";
import { corruptData, trailingData, truncatedData } from "./corrupt.ts";
import { GeneratorStage } from "./generator-stage.ts";
import { nativeLibrary } from "./native-library.ts";

const library = nativeLibrary("@napi-rs/lzma") as () => typeof Lzma;

/**
 * The .xz format by the `@napi-rs/lzma` package (Rust, on threads of its own). Its streams are used rather than its
 * `XzDecompressor`, which takes in any amount without waiting. Reads several streams and their padding (a multiple of four zero
 * bytes), all checks and filters that the `xz` program writes. Slow either way: about 15 MB/s written at level 0 and 30
 * MB/s read, of data that do not compress well.
 */
export const xz: Codec = {
  name: "xz",
  extension: ".xz",
  selfChecking: true,
  createEncoder: (options = {}) =>
    new GeneratorStage((source) =>
      library().xz.compressStream(ReadableStream.from(source), { preset: options.level ?? 0 }),
    ),
  createDecoder: () => new GeneratorStage(decode),
};

async function* decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let sourceFailure: unknown;
  let sizeBytes = 0;
  const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of source) {
        sizeBytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      sourceFailure = error;
      throw error;
    }
  };
  const { xz: codec } = library();
  try {
    yield* codec.decompressStream(ReadableStream.from(watched()));
  } catch (cause) {
    if (sourceFailure !== undefined) throw sourceFailure;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (/eof|unexpected end|fill whole buffer/i.test(message)) throw truncatedData("xz");
    throw corruptData("xz", message, cause);
  }
  // Streams and the padding between them are multiples of four bytes, which the library does not look at.
  if (sizeBytes % 4 !== 0) throw trailingData("xz");
}
