import { EngineError } from "../common/errors.ts";
import { type Codec, type CodecName, codecNames } from "./codec.ts";
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

/** Levels that can be written; codecs that are not here have one way only, and take any level for it. */
const levels: Partial<Record<CodecName, readonly [lowest: number, highest: number]>> = {
  gzip: [0, 9],
  xz: [0, 9],
  zstd: [-7, 22],
};

/** What is taken where no level is said, of the codecs that have levels. */
const fastLevels: Partial<Record<CodecName, number>> = { gzip: 1, xz: 0, zstd: 1 };

/** The level that is written with; undefined for a codec that has one way only. */
export function usedLevel(codec: CodecName, level: number | undefined): number | undefined {
  const fast = fastLevels[codec];
  return fast === undefined ? undefined : (level ?? fast);
}

/** Throws `usage` for a level that the codec does not have. */
export function requireLevel(codec: CodecName, level: number | undefined): void {
  const [lowest, highest] = levels[codec] ?? [];
  if (level === undefined || lowest === undefined || highest === undefined) return;
  if (level >= lowest && level <= highest) return;
  throw new EngineError("usage", `${codec} has no level ${level}`, {
    hint: `Its levels are ${lowest} to ${highest}; left out, it is a fast one.`,
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
