import type { Stats } from "node:fs";
import type { TarCommon, TarEntry } from "../codec/tar/entry.ts";
import type { OwnerNames } from "./owner-names.ts";
import type { DirectoryEntry, LinkEntry } from "./walk.ts";

type Metadata = Pick<Stats, "mode" | "uid" | "gid" | "mtimeMs">;

/** The header's facts of a file that is stored with `sizeBytes` bytes. */
export function fileMember(path: string, sizeBytes: number, stats: Metadata, names: OwnerNames): TarEntry {
  return { ...common(atTop(path), stats, names), kind: "file", sizeBytes };
}

export function directoryMember({ path, stats }: DirectoryEntry, names: OwnerNames): TarEntry {
  const member = common(path, stats, names);
  // Barman makes its target from this entry, and PostgreSQL starts only in 0700 or 0750; a link's target may be anything.
  return { ...member, kind: "directory", mode: path === "pg_wal" ? 0o700 : member.mode };
}

export function linkMember({ path, target, stats }: LinkEntry, names: OwnerNames): TarEntry {
  return { ...common(atTop(path), stats, names), kind: "symlink", linkPath: target };
}

/** Barman writes `./` before the names of files directly in the data directory, and before no others. */
function atTop(path: string): string {
  return path.includes("/") ? path : `./${path}`;
}

function common(path: string, stats: Metadata, names: OwnerNames): TarCommon {
  return {
    path,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    userName: names.user(stats.uid),
    groupName: names.group(stats.gid),
    mtimeSeconds: Math.floor(stats.mtimeMs / 1000),
  };
}
