import type { BackupOptions } from "../backup-options.ts";

/** Parts small enough that every database has several. */
export const smallParts = {
  fast: true,
  lanes: 3,
  maxPartBytes: 4_000_000,
  uploadPartBytes: 300_000,
  walTimeoutMs: 30_000,
} as const satisfies BackupOptions;
