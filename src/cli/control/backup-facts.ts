import { z } from "zod";
import { EngineError } from "../../common/errors.ts";

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
  /** Of a Backup: an error says why a backup that has completed is not there. */
  destinations: z
    .array(
      z.looseObject({
        objectStore: z.string().optional(),
        destinationPath: z.string(),
        error: z.string().optional(),
      }),
    )
    .optional(),
  /** The same of a Server's. */
  missing: z.array(z.object({ store: z.string(), error: z.string() })).optional(),
};
const shownBackup = z.object(shownBackupFields);
export type ShownBackup = z.infer<typeof shownBackup>;

/** What is said of a base backup that has completed, a line each. */
export function backupFacts(backup: ShownBackup): [string, string][] {
  const { backupId, startedAt, stoppedAt, beginWal, endWal } = backup;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["backup", backupId],
    ["began", startedAt],
    ["ended", stoppedAt],
    ["WAL", beginWal === undefined ? undefined : `${beginWal} to ${endWal ?? "?"}`],
    ...missingIn(backup).map((missing) => ["not in", missing] as const),
  ];
  return facts.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
}

/** Throws `backup-partial` for a backup that has completed, but not in every store. */
export function requireInAll(what: string, backup: ShownBackup): void {
  const missing = missingIn(backup);
  if (missing.length === 0) return;
  throw new EngineError("backup-partial", `${what} is complete, but not in ${missing.join("; ")}`, {
    hint: "It can be restored from the other stores.",
  });
}

function missingIn({ destinations = [], missing = [] }: ShownBackup): readonly string[] {
  return [
    ...destinations.map(({ objectStore, destinationPath, error }) => ({
      store: objectStore ?? destinationPath,
      error,
    })),
    ...missing,
  ].flatMap(({ store, error }) => (error === undefined ? [] : [`${store}: ${error}`]));
}
