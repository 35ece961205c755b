import { PassThrough } from "node:stream";
import type { Codec } from "./codec.ts";
import { encoderChunkBytes } from "./chunk-sizes.ts";

/** No compression: bytes pass unchanged, unchecked, and without a mark at their end. */
export const none: Codec = {
  name: "none",
  extension: "",
  selfChecking: false,
  createEncoder: () => new PassThrough({ highWaterMark: encoderChunkBytes }),
  createDecoder: () => new PassThrough({ highWaterMark: encoderChunkBytes }),
};
