import { lstat, mkdir } from "node:fs/promises";
import { EngineError, fileError } from "../../common/errors.ts";

/**
 * Makes the folder of the server's socket, closed to others, where it is not there (any more: a short one in /tmp goes when the machine is started).
 * One that somebody else has made there in between is refused with `config`: they could put a socket of their own in it.
 */
export async function makeSocketDirectory(path: string): Promise<void> {
  let owner: number;
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    owner = (await lstat(path)).uid;
  } catch (error) {
    throw fileError("make the folder", path, error);
  }
  const ourselves = process.getuid?.();
  if (ourselves === undefined || ourselves === 0 || owner === ourselves) return;
  throw new EngineError("config", `the socket folder "${path}" belongs to another user`, {
    hint: "Remove it, or name another one.",
    details: { owner },
  });
}
