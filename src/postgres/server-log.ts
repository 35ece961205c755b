import { constants, open } from "node:fs/promises";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { spawnIdentity, type ServerUser } from "./server-process.ts";

/** How much of the end is looked at, and how many lines of it are quoted. */
const tailBytes = 16 * 1024;
const tailLines = 8;

/** Opens the file that takes a server's output, for appending, and gives it to the server's user. The caller closes it. */
export async function openServerLog(path: string, user: ServerUser | undefined) {
  try {
    // As root in a folder of the server's user, a link could make us append to any file.
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const handle = await open(path, flags, 0o640);
    const { uid, gid } = spawnIdentity(user);
    if (uid !== undefined && gid !== undefined) await handle.chown(uid, gid);
    return { handle, sizeBytes: (await handle.stat()).size };
  } catch (error) {
    throw fileError("open", path, error);
  }
}

/**
 * The last lines written after `sinceByte`, trimmed, oldest first. When the server complained (FATAL, PANIC, ERROR), the
 * lines begin there, because the cause comes before its consequences. Empty when the log cannot be read: this
 * serves error messages, which must not fail themselves.
 */
export async function lastLogLines(path: string, sinceByte: number): Promise<string[]> {
  return pickLines(await readLogEnd(path, sinceByte, tailBytes));
}

/** What was written after `sinceByte`, at most the last `limitBytes` of it. Empty when the log cannot be read. */
export async function readLogEnd(path: string, sinceByte: number, limitBytes: number): Promise<string> {
  try {
    await using file = await open(path, "r");
    const end = (await file.stat()).size;
    // Shorter than then: it was begun anew.
    const start = Math.max(sinceByte > end ? 0 : sinceByte, end - limitBytes);
    const buffer = Buffer.alloc(end - start);
    await file.read(buffer, 0, buffer.length, start);
    return buffer.toString("utf8");
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return "";
  }
}

/** Exported for tests: the choice of lines, without the file. */
export function pickLines(text: string): string[] {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const complaint = lines.findLastIndex((line) => /\b(FATAL|PANIC):/.test(line));
  // What is wrong with a configuration file stands before this complaint.
  const isLast = / configuration file ".*" contains errors$/.test(lines[complaint] ?? "");
  const from = complaint === -1 ? lines.length - tailLines : isLast ? complaint - tailLines + 1 : complaint;
  return lines.slice(Math.max(0, from), Math.max(0, from) + tailLines);
}
