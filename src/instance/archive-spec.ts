import { z } from "zod";
import { codecNames } from "../codec/codec.ts";
import { repositorySettings } from "../repository/repository-settings.ts";

/** Where WAL and base backups of one PostgreSQL go, and in which form: part of a process's specification file. */
export const archiveSpecSchema = z.strictObject({
  /** The server's name in every repository that has none of its own. */
  server: z.string(),
  repositories: z.array(repositorySettings).min(1),
  /** Of repositories that say nothing else. */
  walCompression: z.enum(codecNames),
  walConcurrency: z.number().int().optional(),
  /** Who must have a WAL file before PostgreSQL may recycle it: all, so many, or those of these names. */
  policy: z.union([z.literal("all"), z.number().int().positive(), z.array(z.string()).min(1).readonly()]),
  /** Of repositories that say nothing else. */
  backupCompression: z.enum(codecNames),
  backupJobs: z.number().int().optional(),
  /** Checkpoint at once instead of spread. */
  fastCheckpoint: z.boolean(),
  /** The very first write asks whether the archive is empty. */
  requireEmptyArchive: z.boolean(),
  tags: z.record(z.string(), z.string()),
});

export type ArchiveSpec = z.infer<typeof archiveSpecSchema>;
