import type { ArchiveTarget } from "../archive/archive-target.ts";
import { codecNamed, requireLevel } from "../codec/codecs.ts";
import { EngineError } from "../common/errors.ts";
import type { CommandContext } from "./context.ts";

/** Where WAL goes, and in which form: flags, then the configuration's `wal`, then zstd at its fast level. */
export function archiveTargets(
  context: CommandContext,
  flags: { readonly compression: string | undefined; readonly level: number | undefined },
): ArchiveTarget[] {
  const codec = codecNamed(flags.compression ?? context.config.wal?.compression ?? "zstd");
  if (codec.createEncoder === undefined) {
    throw new EngineError("usage", `WAL cannot be stored with ${codec.name}: this format can only be read`, {
      hint: "Use zstd, gzip, lz4, snappy, xz or none.",
    });
  }
  const level = flags.level ?? context.config.wal?.level;
  requireLevel(codec.name, level);
  return context.repositories.map((repository) => ({
    repository,
    codec: codec.name,
    ...(level === undefined ? {} : { level }),
  }));
}
