import type { ArchiveTarget } from "../archive/archive-target.ts";
import { codecNamed, requireLevel } from "../codec/codecs.ts";
import { EngineError } from "../common/errors.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import type { CommandContext } from "./context.ts";
import { storedForms, type FormFlags } from "./stored-forms.ts";

/** Where WAL goes, and in which form (`storedForms`). */
export function archiveTargets({ config, repositories }: CommandContext, flags: FormFlags): ArchiveTarget[] {
  const { usual, forms } = storedForms("wal", config, flags);
  return repositories.map((repository) => ({
    repository,
    ...requireWritable(forms.get(repository.name) ?? usual),
  }));
}

function requireWritable(form: StoredForm): StoredForm {
  const { createEncoder, name } = codecNamed(form.codec);
  if (createEncoder === undefined) {
    throw new EngineError("usage", `WAL cannot be stored with ${name}: this format can only be read`, {
      hint: "Use zstd, gzip, lz4, snappy, xz or none.",
    });
  }
  requireLevel(form.codec, form.level);
  return form;
}
