import type { CodecName } from "../codec/codec.ts";
import { usedLevel } from "../codec/codecs.ts";
import { nameRepositories } from "./open-repositories.ts";
import type { RepositorySettings } from "./repository-settings.ts";

/** In which form WAL or base backups are stored. */
export interface StoredForm {
  readonly codec: CodecName;
  /** The codec's own scale; absent means its fast level. */
  readonly level?: number;
}

/** What the settings of a repository can say of WAL and of base backups by themselves. */
export type StoredContent = "wal" | "base";

/** The form that each repository of a server gets its WAL or base backups in, by the repositories' names; throws `config` for two of one name. */
export function formsOf(
  settings: readonly RepositorySettings[],
  content: StoredContent,
  usual: StoredForm,
): ReadonlyMap<string, StoredForm> {
  return new Map(nameRepositories(settings).map((item) => [item.name, formIn(item, content, usual)]));
}

/**
 * The form of a repository that may have one of its own, for its WAL or its base backups; else the usual one. A codec of its
 * own comes with a level of its own: the usual one is of another scale.
 */
function formIn(
  { compression, level }: Pick<RepositorySettings, "compression" | "level">,
  content: StoredContent,
  usual: StoredForm,
): StoredForm {
  const ownCodec = typeof compression === "object" ? compression[content] : compression;
  const codec = ownCodec ?? usual.codec;
  const ownLevel = typeof level === "object" ? level[content] : level;
  const chosen = ownLevel ?? (codec === usual.codec ? usual.level : undefined);
  return chosen === undefined ? { codec } : { codec, level: chosen };
}

/** Equal for forms that give the same bytes, and only those. */
export function formKey({ codec, level }: StoredForm): string {
  return `${codec} ${usedLevel(codec, level) ?? ""}`;
}
