import { EngineError } from "../common/errors.ts";
import { type Codec, codecNames } from "./codec.ts";
import { bzip2 } from "./bzip2.ts";
import { gzip } from "./gzip.ts";
import { lz4 } from "./lz4.ts";
import { none } from "./none.ts";
import { snappy } from "./snappy.ts";
import { xz } from "./xz.ts";
import { zstd } from "./zstd.ts";

const codecs: readonly Codec[] = [none, gzip, bzip2, xz, zstd, lz4, snappy];

/** The codec of this name; an unknown name throws `usage`. */
export function codecNamed(name: string): Codec {
  const codec = codecs.find((codec) => codec.name === name);
  if (codec !== undefined) return codec;
  throw new EngineError("usage", `there is no compression "${name}"`, {
    hint: `Write one of ${codecNames.join(", ")}.`,
  });
}

/** The codec of a file extension with its dot (`.gz`; `""` is `none`), or undefined when it is not one of ours. */
export function codecForExtension(extension: string): Codec | undefined {
  return codecs.find((codec) => codec.extension === extension);
}

/** Takes the codec's extension off a key: `data.tar.gz` gives `data.tar` and gzip; without a known one, `none`. */
export function splitCodecExtension(key: string): { readonly stem: string; readonly codec: Codec } {
  const codec = codecs.find((codec) => codec !== none && key.endsWith(codec.extension)) ?? none;
  return { stem: key.slice(0, key.length - codec.extension.length), codec };
}
