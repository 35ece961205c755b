import { access, constants } from "node:fs/promises";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import { EngineError } from "../common/errors.ts";
import { chooseServerUser } from "../postgres/unprivileged-user.ts";
import type { ServerUser } from "../postgres/server-process.ts";

/**
 * As root, commands that work beside a server become that server's user first: what they write (spool, repository,
 * restored files) must be readable for the server and for the agent, and peer authentication lets them in. Returns the
 * user they became, or undefined when nothing changed.
 */
export async function becomeServerUser(dataDirectory: string | undefined): Promise<ServerUser | undefined> {
  const user = await chooseServerUser(dataDirectory);
  if (user !== undefined) await become(user);
  return user;
}

type ProcessWithGroups = NodeJS.Process & { initgroups?(user: string, group: number): void };

/** Gives up root for good. For a process that has loaded all it needs. */
export function becomeForThisProcess(user: ServerUser): void {
  // Node has it on POSIX systems; its types leave it out.
  (process as ProcessWithGroups).initgroups?.(user.name, user.gid);
  process.setgid?.(user.gid);
  process.setuid?.(user.uid);
  // Where programs look for ~/.aws and ~/.pgpass: root's are closed to this user, and were not meant for it.
  const home = homeOfCurrentUser();
  Object.assign(process.env, { HOME: home, USER: user.name, LOGNAME: user.name });
}

/** By the system's user database; `HOME` would still be the former user's. */
function homeOfCurrentUser(): string {
  try {
    return userInfo().homedir;
  } catch {
    return "/";
  }
}

/** Gives up root for good. Throws `config` when the user could not read this program afterwards. */
export async function become(user: ServerUser): Promise<void> {
  becomeForThisProcess(user);
  const program = fileURLToPath(import.meta.url);
  await access(program, constants.R_OK).catch((cause: unknown) => {
    throw new EngineError("config", `user "${user.name}" cannot read Tidemark's own files at "${program}"`, {
      cause,
      hint: "Install Tidemark where every user can read it, for example with npm install -g.",
    });
  });
}
