import type { FieldPath, ManifestObject } from "../../manifest-object.ts";
import { recoveryTargetFields } from "./recovery-target-fields.ts";

/** Fields that nobody knows but that people write, each with a rule of its own that says what was meant. */
interface MisplacedField {
  readonly kind: string;
  /** With `*` for any step. */
  readonly path: readonly string[];
  readonly rule: string;
}

const configurations = [
  { kind: "ObjectStore", at: ["spec", "configuration"] },
  { kind: "Cluster", at: ["spec", "backup", "barmanObjectStore"] },
  { kind: "Cluster", at: ["spec", "externalClusters", "*", "barmanObjectStore"] },
];

const fields: readonly MisplacedField[] = [
  ...configurations.flatMap(({ kind, at }) => [
    { kind, path: [...at, "s3Credentials", "endpoint"], rule: "misplaced-endpoint" },
    { kind, path: [...at, "s3Credentials", "endpointURL"], rule: "misplaced-endpoint" },
    { kind, path: [...at, "endpoint"], rule: "misplaced-endpoint" },
    { kind, path: [...at, "region"], rule: "misplaced-region" },
    { kind, path: [...at, "wal", "retention"], rule: "misplaced-retention" },
    { kind, path: [...at, "data", "retention"], rule: "misplaced-retention" },
    { kind, path: [...at, "retentionPolicy"], rule: "misplaced-retention" },
    { kind, path: [...at, "retention"], rule: "misplaced-retention" },
  ]),
  { kind: "ObjectStore", path: ["spec", "configuration", "serverName"], rule: "server-name-in-store" },
  { kind: "Backup", path: ["spec", "retentionPolicy"], rule: "misplaced-retention" },
  { kind: "ScheduledBackup", path: ["spec", "retentionPolicy"], rule: "misplaced-retention" },
  { kind: "Backup", path: ["spec", "schedule"], rule: "backup-with-schedule" },
  {
    kind: "Cluster",
    path: ["spec", "bootstrap", "recovery", "backup", "namespace"],
    rule: "backup-namespace",
  },
  ...recoveryTargetFields.map((target) => ({
    kind: "Cluster",
    path: ["spec", "bootstrap", "recovery", target],
    rule: "misplaced-recovery-target",
  })),
];

/** The rule that speaks of this field, if one does. */
export function misplacedField({ kind }: ManifestObject, path: FieldPath): string | undefined {
  return fields.find(
    (field) =>
      field.kind === kind &&
      field.path.length === path.length &&
      field.path.every((step, index) => step === "*" || step === String(path[index])),
  )?.rule;
}
