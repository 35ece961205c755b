import { readFile } from "node:fs/promises";
import { parsePasswd } from "../postgres/unprivileged-user.ts";

/** Names for the numbers in a file's metadata; unpacking as root prefers a name, because numbers differ by host. */
export interface OwnerNames {
  /** Empty when the system has no name for it. */
  user(uid: number): string;
  group(gid: number): string;
}

/** Reads passwd(5) and group(5); without them there are no names, which is no error. */
export async function readOwnerNames(): Promise<OwnerNames> {
  const [passwd, group] = await Promise.all(
    ["/etc/passwd", "/etc/group"].map(async (path) => readFile(path, "utf8").catch(() => "")),
  );
  const users = new Map(parsePasswd(passwd ?? "").map(({ uid, name }) => [uid, name]));
  const groups = new Map(
    (group ?? "").split("\n").flatMap((line): [number, string][] => {
      const [name, , gid] = line.split(":");
      return name && /^\d+$/.test(gid ?? "") ? [[Number(gid), name]] : [];
    }),
  );
  return { user: (uid) => users.get(uid) ?? "", group: (gid) => groups.get(gid) ?? "" };
}
