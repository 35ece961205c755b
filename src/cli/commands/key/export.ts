import { open } from "node:fs/promises";
import { EngineError, fileError, systemErrorCode } from "../../../common/errors.ts";
import { requireKeys } from "../../../repository/encryption/change-keys.ts";
import { formatStoredKeys } from "../../../repository/encryption/stored-keys.ts";
import { openKeyTarget, type KeyOptions } from "./key-target.ts";

interface ExportOptions extends KeyOptions {
  readonly to?: string;
  readonly stdout?: boolean;
}

/** `tidemark key export`: a repository's identities, open, as `age -i` takes them. */
export async function run(options: ExportOptions, signal: AbortSignal): Promise<void> {
  const { to, stdout = false } = options;
  if ((to === undefined) === !stdout) {
    throw new EngineError("usage", "it must be said where the identities shall go", {
      hint: "They open everything: write them into a file with --to, or with --stdout where nobody looks.",
    });
  }
  await using target = await openKeyTarget(options, signal);
  const keys = await requireKeys(target.repository, await target.operatorKey(), signal);
  // Whom they are locked for now is no fact about what they will be locked for when they are put back.
  const text = formatStoredKeys({ ...keys, recipients: [] });
  if (to === undefined) {
    process.stdout.write(text);
    return;
  }
  await writeNewFile(to, text);
  process.stdout.write(`${to}: the ${keys.keys.length} identities of repository ${target.repository.name}\n`);
}

/** Never over a file: it may be the copy of another repository's. */
async function writeNewFile(path: string, text: string): Promise<void> {
  try {
    await using file = await open(path, "wx", 0o600);
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw fileError("write", path, error);
    throw new EngineError("object-exists", `"${path}" is there already`, { hint: "Name a new file." });
  }
}
