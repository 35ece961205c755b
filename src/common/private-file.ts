import { open } from "node:fs/promises";
import { describeError, EngineError } from "./errors.ts";

/**
 * Reads a small file with a secret in it, which nobody but its owner may read. `what` names it in messages ("identity").
 *
 * @throws EngineError `config` when it cannot be read, or when others can read it as well.
 */
export async function readPrivateFile(path: string, what: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const { mode } = await file.stat();
    // Windows has no such bits.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) throw openToOthers(path, what, mode);
    return await file.readFile("utf8");
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("config", `could not read the ${what} file "${path}": ${describeError(cause)}`, {
      cause,
      hint: "It must be there, and belong to the user who runs this.",
    });
  }
}

function openToOthers(path: string, what: string, mode: number): EngineError {
  const bits = (mode & 0o777).toString(8).padStart(3, "0");
  return new EngineError(
    "config",
    `the ${what} file "${path}" has mode ${bits}: others than its owner can read it`,
    { hint: `Close it to them (chmod 600 ${path}); if others may have read it, change what is in it.` },
  );
}
