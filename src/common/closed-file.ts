import { open } from "node:fs/promises";
import { EngineError, fileError } from "./errors.ts";

export interface ClosedFileContent {
  readonly text: string;
  readonly modifiedAtMs: number;
}

/**
 * Reads a small file that holds secrets. `what` names it in messages: `credentials file`. With `ownerOnly: false` its mode is
 * for others to decide.
 *
 * @throws EngineError `config` when it cannot be read, or when others than its owner can read it.
 */
export async function readClosedFile(
  path: string,
  what: string,
  { ownerOnly = true }: { readonly ownerOnly?: boolean } = {},
): Promise<ClosedFileContent> {
  try {
    await using file = await open(path, "r");
    const { mode, mtimeMs } = await file.stat();
    // Windows has no such bits.
    if (ownerOnly && process.platform !== "win32" && (mode & 0o077) !== 0)
      throw openToOthers(path, what, mode);
    return { text: await file.readFile("utf8"), modifiedAtMs: mtimeMs };
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw unreadableFile(path, what, error);
  }
}

export function unreadableFile(path: string, what: string, cause: unknown): EngineError {
  return new EngineError("config", `could not read the ${what} "${path}"`, {
    cause: fileError("read", path, cause),
    hint: "It must be there, and belong to the user who runs this.",
  });
}

function openToOthers(path: string, what: string, mode: number): EngineError {
  const bits = (mode & 0o777).toString(8).padStart(3, "0");
  return new EngineError(
    "config",
    `the ${what} "${path}" has mode ${bits}: others than its owner can read it`,
    { hint: `Close it to them (chmod 600 ${path}); if others may have read it, change the credentials.` },
  );
}
