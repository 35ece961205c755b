import type { Duplex } from "node:stream";
import { EngineError } from "../common/errors.ts";
import type { Codec, EncoderOptions } from "./codec.ts";

/** A new encoder; `usage` for a format that can only be read. */
export function createEncoder(codec: Codec, options: EncoderOptions = {}): Duplex {
  if (codec.createEncoder !== undefined) return codec.createEncoder(options);
  throw new EngineError("usage", `compression "${codec.name}" can be read, but not written`, {
    hint: "Choose gzip, which every tool reads, or zstd, which is much faster.",
  });
}
