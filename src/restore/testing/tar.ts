import { encodeTarHeader, tarPadding } from "../../codec/tar/header.ts";
import type { TarEntry } from "../../codec/tar/entry.ts";

export interface SampleMember {
  readonly path: string;
  readonly kind?: TarEntry["kind"];
  readonly content?: string | Uint8Array;
  readonly linkPath?: string;
  readonly mode?: number;
}

/** A whole tar archive of these members, as our writer and others make it. */
export function tarOf(members: readonly SampleMember[]): Buffer {
  const blocks = members.flatMap(({ path, kind = "file", content = "", linkPath = "", mode }) => {
    const body = Buffer.from(content);
    const common = { path, uid: 0, gid: 0, userName: "", groupName: "", mtimeSeconds: 0 };
    const directory = kind === "directory";
    const base = { ...common, mode: mode ?? (directory ? 0o700 : 0o600) };
    switch (kind) {
      case "file":
        return [encodeTarHeader({ ...base, kind, sizeBytes: body.length }), body, tarPadding(body.length)];
      case "directory":
        return [encodeTarHeader({ ...base, kind })];
      case "symlink":
        return [encodeTarHeader({ ...base, kind, linkPath })];
    }
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
