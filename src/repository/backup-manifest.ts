import { createHash } from "node:crypto";
import { z } from "zod";
import { EngineError } from "../common/errors.ts";
import type { BackupId } from "./backup-id.ts";
import { backupManifestKey } from "./keys.ts";
import { readSmallObject } from "./read-object.ts";
import type { Repository } from "./repository.ts";

/**
 * What Barman's layout cannot say about a backup of ours: which parts it has (a lost part would go unnoticed), their
 * sizes and digests, pages found damaged, tags. Backups by Barman have none, and are restored without these checks.
 */
const damagedPage = z.object({
  /** Path below PGDATA, or `<oid>/…` in a tablespace's archive. */
  path: z.string(),
  /** Block number within the relation fork. */
  block: z.number().int().nonnegative(),
});

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

const schema = z.object({
  format: z.literal(1),
  tidemarkVersion: z.string(),
  /** In restore order: data, data_0001, …, then each tablespace's. */
  parts: z.array(
    z.object({
      /** File name below `base/<ID>/`. */
      name: z.string(),
      archive: z.string(),
      storedBytes: z.number().int().nonnegative(),
      /** Size of the tar inside. */
      tarBytes: z.number().int().nonnegative(),
      /** SHA-256 of the stored bytes, hex. */
      sha256: sha256Hex,
    }),
  ),
  fileCount: z.number().int().nonnegative(),
  /** Sum of the files' sizes as stored in the archives. */
  dataBytes: z.number().int().nonnegative(),
  /** Whether page checksums were on, and so verified while reading. */
  pagesVerified: z.boolean(),
  damagedPages: z.array(damagedPage),
  /** How many there were in all; `damagedPages` is cut at 1000. */
  damagedPageCount: z.number().int().nonnegative(),
  fromStandby: z.boolean(),
  tags: z.record(z.string(), z.string()),
  /** SHA-256 of `backup.info`, hex: tells which of two copies that differ is the damaged one. Older backups have none. */
  infoSha256: sha256Hex.optional(),
});

export type BackupManifest = z.infer<typeof schema>;
export type BackupPart = BackupManifest["parts"][number];

const limitBytes = 64 * 1024 * 1024;

/** With a checksum of its own, of the text without it: nothing else would show a digit that has changed. */
export function formatBackupManifest(manifest: BackupManifest): string {
  return `${asText({ ...manifest, checksum: sha256(asText(manifest)) })}\n`;
}

const asText = (value: unknown): string => JSON.stringify(value, undefined, 2);
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Throws what is wrong with a manifest. Those of older versions have no checksum. */
export function parseBackupManifest(text: string): BackupManifest {
  const { checksum, ...content } = z.looseObject({ checksum: z.string().optional() }).parse(JSON.parse(text));
  if (checksum !== undefined && checksum !== sha256(asText(content))) {
    throw new EngineError("object-corrupt", "its content does not have its checksum");
  }
  return schema.parse(content);
}

/** Undefined when the backup has none (made by Barman). Throws `object-corrupt`. */
export async function readBackupManifest(
  repository: Repository,
  id: BackupId,
  signal?: AbortSignal,
): Promise<BackupManifest | undefined> {
  const key = backupManifestKey(repository.server, id);
  const text = await readSmallObject(repository.store, key, { limitBytes, ...(signal ? { signal } : {}) });
  if (text === undefined) return undefined;
  try {
    return parseBackupManifest(text);
  } catch (cause) {
    throw new EngineError(
      "object-corrupt",
      `could not read "${repository.store.url}/${key}": it is not a backup manifest`,
      { cause },
    );
  }
}
