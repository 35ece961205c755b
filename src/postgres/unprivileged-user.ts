import { readFile, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { runProgram, type ServerUser } from "./server-process.ts";

/**
 * PostgreSQL refuses to run as root (src/backend/main/main.c, check_root), so when we are root the server gets another
 * user; when we are not, it runs as ourselves and nothing here does anything.
 */

export interface PasswdEntry extends ServerUser {}

/** Parses passwd(5) lines; malformed ones are skipped, as the C library does. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    if (!name || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return [];
    return [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

/** The login name of this process, or its uid as text where the system has no name for it. */
export function currentUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}

/**
 * The user to run server programs as: undefined when we are not root; else the owner of `dataDirectory` unless that is
 * root or the directory does not exist; else `postgres`; else `nobody`.
 *
 * @throws EngineError `config` when the system has neither user.
 */
export async function chooseServerUser(dataDirectory?: string): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = parsePasswd(await readFile("/etc/passwd", "utf8").catch(() => ""));
  const owner = dataDirectory === undefined ? undefined : await ownerOf(dataDirectory);
  if (owner !== undefined && owner.uid !== 0) {
    const named = known.find((entry) => entry.uid === owner.uid);
    return { uid: owner.uid, gid: named?.gid ?? owner.gid, name: named?.name ?? String(owner.uid) };
  }
  for (const name of ["postgres", "nobody"]) {
    const user = known.find((entry) => entry.name === name) ?? (await lookUpUser(name));
    if (user !== undefined && user.uid !== 0) return user;
  }
  throw new EngineError("config", `no user to run PostgreSQL as: neither "postgres" nor "nobody" exists`, {
    hint: "PostgreSQL refuses to run as root. Create a user (useradd --system postgres), or run as an ordinary user.",
  });
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

/** Asks the system's name service (LDAP and the like), which /etc/passwd does not show. */
async function lookUpUser(name: string): Promise<ServerUser | undefined> {
  const [uid, gid] = await Promise.all([runProgram("id", ["-u", name]), runProgram("id", ["-g", name])]);
  if (uid.code !== 0 || gid.code !== 0) return undefined;
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** What `user` may do to a path, by test(1)'s letters: read, write, or execute (for a directory: enter). */
export type Access = "r" | "w" | "x";

/**
 * Whether `user` has all the named kinds of access to all paths. The kernel is asked, by a process of that user, so
 * parents, groups, ACLs and read-only mounts all count.
 */
export async function canAccess(
  user: ServerUser | undefined,
  wanted: readonly { readonly path: string; readonly access: Access }[],
): Promise<boolean> {
  // Paths travel as arguments ($1, $2, …), never as shell text.
  const script = wanted.map(({ access }, index) => `[ -${access} "\${${index + 1}}" ]`).join(" && ");
  const { code } = await runProgram("/bin/sh", ["-c", script, "sh", ...wanted.map(({ path }) => path)], {
    user,
  });
  return code === 0;
}

/** The first directory on the way to `path` that `user` cannot enter, or undefined. For messages. */
export async function closedDirectory(
  user: ServerUser | undefined,
  path: string,
): Promise<string | undefined> {
  const parents: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    parents.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const parent of parents) {
    if (!(await canAccess(user, [{ path: parent, access: "x" }]))) return parent;
  }
  return undefined;
}
