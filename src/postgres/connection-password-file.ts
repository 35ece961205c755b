import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Secret } from "../common/log.ts";

/**
 * libpq's password file (manual, "The Password File"): lines `host:port:database:user:password`, `*` matches anything,
 * `\` escapes, the first match wins. The driver's own support for it is deprecated and prints a warning.
 */

export interface PasswordQuestion {
  /** A folder for a Unix socket, which the file calls `localhost`. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The password of the first matching line, or undefined. */
export function matchPasswordFile(text: string, question: PasswordQuestion): string | undefined {
  const host = question.host.startsWith("/") ? "localhost" : question.host;
  const wanted = [host, String(question.port), question.database, question.user];
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue;
    const fields = splitLine(line);
    const password = fields[4];
    if (password === undefined) continue;
    if (wanted.every((value, index) => fields[index] === "*" || fields[index] === value)) return password;
  }
  return undefined;
}

function splitLine(line: string): string[] {
  const fields = [""];
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? "";
    if (char === "\\" && at + 1 < line.length) fields[fields.length - 1] += line[++at] ?? "";
    else if (char === ":") fields.push("");
    else fields[fields.length - 1] += char;
  }
  return fields;
}

/** The password that `PGPASSFILE` or `~/.pgpass` holds; like libpq, a file that others can read does not count. */
export async function findPassword(
  question: PasswordQuestion,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Secret | undefined> {
  const path = environment["PGPASSFILE"] ?? join(environment["HOME"] ?? homedir(), ".pgpass");
  try {
    const info = await stat(path);
    if (!info.isFile() || (info.mode & 0o077) !== 0) return undefined;
    const password = matchPasswordFile(await readFile(path, "utf8"), question);
    return password === undefined ? undefined : new Secret(password);
  } catch {
    // No file, or not ours: the server will say if it needs a password.
    return undefined;
  }
}
