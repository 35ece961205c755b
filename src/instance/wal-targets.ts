import type { ArchiveTarget } from "../archive/archive-target.ts";
import { codecNamed } from "../codec/codecs.ts";
import { EngineError } from "../common/errors.ts";
import type { Repository } from "../repository/repository.ts";
import { formsOf, type StoredForm } from "../repository/stored-form.ts";
import type { ArchiveSpec } from "./archive-spec.ts";

/** Where WAL goes, and in which form, of an archive whose repositories have been opened. Throws `config` for a form that can only be read. */
export function walTargets(
  { repositories: settings, walCompression }: Pick<ArchiveSpec, "repositories" | "walCompression">,
  repositories: readonly Repository[],
): readonly ArchiveTarget[] {
  const usual: StoredForm = { codec: walCompression };
  const forms = formsOf(settings, "wal", usual);
  return repositories.map((repository) => ({
    repository,
    ...requireEncoder(forms.get(repository.name) ?? usual),
  }));
}

function requireEncoder(form: StoredForm): StoredForm {
  if (codecNamed(form.codec).createEncoder !== undefined) return form;
  throw new EngineError("config", `WAL cannot be stored with ${form.codec}: this format can only be read`, {
    hint: "Use zstd, gzip, lz4, snappy, xz or none.",
  });
}
