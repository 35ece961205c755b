import { ageOf } from "./age.ts";
import { fieldAt, listOf, recordOf, textOf, type ShownObject } from "./shown-object.ts";

/** A column of `get`, after NAME. */
export interface Column {
  readonly title: string;
  readonly isWide?: true;
  readonly cell: (object: ShownObject, now: Date) => string;
}

const at = (title: string, path: string): Column => ({ title, cell: (object) => textOf(object, path) });
const ageAt = (title: string, path: string): Column => ({
  title,
  cell: (object, now) => ageOf(fieldAt(object, path), now),
});
const wide = (column: Column): Column => ({ ...column, isWide: true });

const age = ageAt("AGE", "metadata.creationTimestamp");

const count = (...paths: readonly string[]): Column => ({
  title: "DATA",
  cell: (object) => String(paths.flatMap((path) => Object.keys(recordOf(object, path))).length),
});

const condition = (title: string, type: string, field: "status" | "reason"): Column => ({
  title,
  cell: (object) =>
    textOf(
      listOf(object, "status.conditions").find((entry) => fieldAt(entry, "type") === type),
      field,
    ),
});

/** CloudNativePG's printer columns (API of 1.30), Kubernetes' own, and for -o wide what one looks for next. */
const columns: Readonly<Record<string, readonly Column[]>> = {
  Namespace: [
    {
      title: "STATUS",
      cell: (object) => (textOf(object, "metadata.deletionTimestamp") === "" ? "Active" : "Terminating"),
    },
    age,
  ],
  Secret: [{ title: "TYPE", cell: (object) => textOf(object, "type") || "Opaque" }, count("data"), age],
  ConfigMap: [count("data", "binaryData"), age],
  Cluster: [
    age,
    at("INSTANCES", "status.instances"),
    at("READY", "status.readyInstances"),
    at("STATUS", "status.phase"),
    at("PRIMARY", "status.currentPrimary"),
    wide(at("TIMELINE", "status.timelineID")),
    wide(at("RECOVERABLE FROM", "status.firstRecoverabilityPoint")),
    wide(at("LAST BACKUP", "status.lastSuccessfulBackup")),
    wide(at("REASON", "status.phaseReason")),
  ],
  Backup: [
    age,
    at("CLUSTER", "spec.cluster.name"),
    {
      title: "METHOD",
      // Where the manifest leaves it to the cluster, the status says what was taken.
      cell: (object) => textOf(object, "spec.method") || textOf(object, "status.method"),
    },
    at("PHASE", "status.phase"),
    at("ERROR", "status.error"),
    wide(at("BACKUP ID", "status.backupId")),
    wide(at("STARTED", "status.startedAt")),
    wide(at("STOPPED", "status.stoppedAt")),
  ],
  ScheduledBackup: [
    age,
    at("CLUSTER", "spec.cluster.name"),
    ageAt("LAST BACKUP", "status.lastScheduleTime"),
    wide(at("SCHEDULE", "spec.schedule")),
    wide(at("SUSPENDED", "spec.suspend")),
    wide(at("NEXT BACKUP", "status.nextScheduleTime")),
  ],
  ObjectStore: [
    age,
    wide(at("DESTINATION", "spec.configuration.destinationPath")),
    wide(at("RETENTION", "spec.retentionPolicy")),
  ],
  ExternalSecret: [
    at("STORE", "spec.secretStoreRef.name"),
    at("REFRESH INTERVAL", "spec.refreshInterval"),
    condition("STATUS", "Ready", "reason"),
    condition("READY", "Ready", "status"),
    age,
  ],
  Server: [
    age,
    condition("READY", "Ready", "status"),
    at("STATUS", "status.phase"),
    at("VERSION", "status.version"),
    ageAt("LAST ARCHIVED", "status.lastArchivedTime"),
    ageAt("LAST BACKUP", "status.lastSuccessfulBackup"),
    wide(at("NEXT BACKUP", "status.nextBackup")),
    wide(at("RECOVERABLE FROM", "status.firstRecoverabilityPoint")),
    wide(at("DATA DIRECTORY", "spec.dataDirectory")),
    wide(at("REASON", "status.phaseReason")),
  ],
  RestoreDrill: [age, condition("READY", "Ready", "status"), condition("STATUS", "Ready", "reason")],
};

/** The columns of a kind, in order. */
export function columnsOf(kind: string, isWide: boolean): readonly Column[] {
  return (columns[kind] ?? [age]).filter((column) => isWide || column.isWide !== true);
}
