import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { BackupId } from "./backup-id.ts";
import type { ServerName } from "./server-name.ts";

/**
 * Where everything lies below the store's root: Barman Cloud's layout, and beside it our own objects under
 * `x-tidemark/`, a name Barman ignores wherever we use it.
 */

/** One tar stream of a backup: PGDATA, or one tablespace by its OID. */
export type ArchiveName = "data" | `${number}`;

export const walPrefix = (server: ServerName): string => `${server}/wals/`;
export const basePrefix = (server: ServerName): string => `${server}/base/`;
export const backupPrefix = (server: ServerName, id: BackupId): string => `${server}/base/${id}/`;
export const backupInfoKey = (server: ServerName, id: BackupId): string => `${server}/base/${id}/backup.info`;
export const keepKey = (server: ServerName, id: BackupId): string => `${server}/base/${id}/annotations/keep`;

/** Our own facts about a backup: parts with sizes and digests, damaged pages, tags. Written before `backup.info`. */
export const backupManifestKey = (server: ServerName, id: BackupId): string =>
  `${server}/base/${id}/x-tidemark/manifest.json`;

/** In a backup's folder: somebody takes the backup for dead and removes it. */
export const removalKey = (server: ServerName, id: BackupId): string =>
  `${server}/base/${id}/x-tidemark/removing.json`;

/** Which PostgreSQL system this repository belongs to. */
export const identityKey = (server: ServerName): string => `${server}/x-tidemark/repository.json`;

/**
 * The identities of an encrypted repository, themselves encrypted to the operator. Without the suffix of encrypted
 * objects, so that it is none of them.
 */
export const encryptionKeysKey = (server: ServerName): string => `${server}/x-tidemark/keys/identities`;

/** Key of an archive part; part 0 has no number. `extension` is the codec's, with its dot. */
export function archivePartKey(
  server: ServerName,
  id: BackupId,
  part: { readonly archive: ArchiveName; readonly index: number; readonly extension: string },
): string {
  const number = part.index === 0 ? "" : `_${String(part.index).padStart(4, "0")}`;
  return `${server}/base/${id}/${part.archive}${number}.tar${part.extension}`;
}

/** The folder of a WAL file: the first 16 hex digits of its name; history files lie directly in `wals/`. */
export function walDirectory(server: ServerName, file: WalFileName): string {
  return file.kind === "history" ? walPrefix(server) : `${walPrefix(server)}${file.segment.slice(0, 16)}/`;
}

/** Key of a WAL file without its codec extension. */
export const walKey = (server: ServerName, file: WalFileName): string =>
  `${walDirectory(server, file)}${file.name}`;

/**
 * The checksum of a WAL file stored without compression (`wal-sum.ts`). Not beside it: Barman looks a WAL file up by the
 * prefix of its name, and a plain file with anything behind its name confuses it.
 */
export function walSumKey(server: ServerName, file: WalFileName): string {
  const directory = walDirectory(server, file).slice(walPrefix(server).length);
  return `${server}/x-tidemark/wal-sums/${directory}${file.name}`;
}
