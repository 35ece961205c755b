import { codecNamed } from "../codec/codecs.ts";
import { formsOf, type StoredContent, type StoredForm } from "../repository/stored-form.ts";
import type { Config } from "./config.ts";

/** What a command line says of the form. */
export interface FormFlags {
  readonly compression: string | undefined;
  readonly level: number | undefined;
}

/**
 * In which form WAL or base backups are stored: flags, then what the repository says, by its name, then what the configuration
 * says for all, then zstd at its fast level. Throws `usage` for a compression that there is not.
 */
export function storedForms(
  content: StoredContent,
  config: Config,
  flags: FormFlags,
): { readonly usual: StoredForm; readonly forms: ReadonlyMap<string, StoredForm> } {
  const section = content === "wal" ? config.wal : config.backup;
  const { name: codec } = codecNamed(flags.compression ?? section?.compression ?? "zstd");
  const level = flags.level ?? section?.level;
  const usual: StoredForm = { codec, ...(level === undefined ? {} : { level }) };
  const settings = (config.repositories ?? []).map((item) => ({
    ...item,
    compression: flags.compression === undefined ? item.compression : undefined,
    level: flags.level ?? (flags.compression === undefined ? item.level : undefined),
  }));
  return { usual, forms: formsOf(settings, content, usual) };
}
