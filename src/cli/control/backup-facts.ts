import { z } from "zod";

/** What is shown of a base backup, be it a Backup's status or an entry of a Server's. */
export const shownBackupFields = {
  error: z.string().optional(),
  backupId: z.string().optional(),
  startedAt: z.string().optional(),
  stoppedAt: z.string().optional(),
  beginWal: z.string().optional(),
  endWal: z.string().optional(),
  progress: z
    .object({ doneBytes: z.number(), totalBytes: z.number().optional(), phase: z.string() })
    .optional(),
};
const shownBackup = z.object(shownBackupFields);
export type ShownBackup = z.infer<typeof shownBackup>;

/** What is said of a base backup that has completed, a line each. */
export function backupFacts({
  backupId,
  startedAt,
  stoppedAt,
  beginWal,
  endWal,
}: ShownBackup): [string, string][] {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["backup", backupId],
    ["began", startedAt],
    ["ended", stoppedAt],
    ["WAL", beginWal === undefined ? undefined : `${beginWal} to ${endWal ?? "?"}`],
  ];
  return facts.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
}
