import type { StoreStatus } from "./store-table.ts";

/** What the status of a Cluster or a Server says of its archive. */
export interface ArchiveStatus {
  readonly firstRecoverabilityPoint?: string | undefined;
  readonly lastSuccessfulBackup?: string | undefined;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

/** What of the archive and its stores keeps it from being safe; empty when nothing does. */
export function archiveProblems(
  { conditions, firstRecoverabilityPoint }: ArchiveStatus,
  stores: readonly StoreStatus[] = [],
): readonly string[] {
  const find = (wanted: string) => conditions.find(({ type }) => type === wanted);
  const problems: string[] = [];
  const archiving = find("ContinuousArchiving");
  if (archiving === undefined) problems.push("nothing has been archived yet");
  else if (archiving.status !== "True") problems.push(`archiving fails: ${archiving.message}`);
  // The archive policy may be met without it; a copy is missing all the same.
  const said = archiving?.status === "True" ? "" : (archiving?.message ?? "");
  for (const { name, error } of stores) {
    if (error !== undefined && !said.includes(error))
      problems.push(`store "${name}" is in trouble: ${error}`);
  }
  if (firstRecoverabilityPoint === undefined) {
    problems.push("there is no base backup: nothing can be restored");
  }
  const backup = find("LastBackupSucceeded");
  if (backup?.status === "False" && backup.reason === "LastBackupFailed") {
    problems.push(`the last backup failed: ${backup.message}`);
  }
  return problems;
}

/** Whether it is safe, for people. */
export function safetyFacts(problems: readonly string[]): [string, string][] {
  return [
    ["safe", problems.length === 0 ? "yes" : "no"],
    ...problems.map((problem, at): [string, string] => [at === 0 ? "because" : "and", problem]),
  ];
}

/** What can be restored, for people. */
export function archiveFacts(status: ArchiveStatus): [string, string][] {
  const { firstRecoverabilityPoint: first, lastSuccessfulBackup, conditions } = status;
  return [
    ["can be restored", first === undefined ? "not yet" : `from ${first} on`],
    ["last backup", lastSuccessfulBackup ?? "none"],
    ["archiving", conditions.find(({ type }) => type === "ContinuousArchiving")?.message ?? "nothing yet"],
  ];
}
