/** What is said of a base backup that has completed, a line each. */
export function backupFacts({
  backupId,
  startedAt,
  stoppedAt,
  beginWal,
  endWal,
}: {
  readonly backupId?: string | undefined;
  readonly startedAt?: string | undefined;
  readonly stoppedAt?: string | undefined;
  readonly beginWal?: string | undefined;
  readonly endWal?: string | undefined;
}): [string, string][] {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["backup", backupId],
    ["began", startedAt],
    ["ended", stoppedAt],
    ["WAL", beginWal === undefined ? undefined : `${beginWal} to ${endWal ?? "?"}`],
  ];
  return facts.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
}
