import type { z } from "zod";
import { backup, scheduledBackup } from "./backup.ts";
import { cluster } from "./cluster.ts";
import { configMap, namespace, secret } from "./core.ts";
import { externalSecret } from "./external-secret.ts";
import { objectStore } from "./object-store.ts";
import { restoreDrill } from "./restore-drill.ts";
import { server } from "./server.ts";

/** A kind whose fields we know. */
export interface KnownKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly schema: z.ZodType;
}

export const knownKinds: readonly KnownKind[] = [
  { apiVersion: "v1", kind: "Secret", schema: secret },
  { apiVersion: "v1", kind: "ConfigMap", schema: configMap },
  { apiVersion: "v1", kind: "Namespace", schema: namespace },
  { apiVersion: "postgresql.cnpg.io/v1", kind: "Cluster", schema: cluster },
  { apiVersion: "postgresql.cnpg.io/v1", kind: "Backup", schema: backup },
  { apiVersion: "postgresql.cnpg.io/v1", kind: "ScheduledBackup", schema: scheduledBackup },
  { apiVersion: "barmancloud.cnpg.io/v1", kind: "ObjectStore", schema: objectStore },
  { apiVersion: "external-secrets.io/v1", kind: "ExternalSecret", schema: externalSecret("v1") },
  { apiVersion: "external-secrets.io/v1beta1", kind: "ExternalSecret", schema: externalSecret("v1beta1") },
  { apiVersion: "tidemark.dev/v1alpha1", kind: "Server", schema: server },
  { apiVersion: "tidemark.dev/v1alpha1", kind: "RestoreDrill", schema: restoreDrill },
];

/** Kinds of our own groups, and Kubernetes' own, that stand beside backups and are not run here. Fields are not looked at. */
const besideBackups: ReadonlySet<string> = new Set([
  ...["ServiceAccount", "Service", "PersistentVolumeClaim"].map((kind) => `v1 ${kind}`),
  "batch/v1 CronJob",
  "batch/v1 Job",
  ...[
    "ClusterImageCatalog",
    "Database",
    "DatabaseRole",
    "FailoverQuorum",
    "ImageCatalog",
    "Pooler",
    "Publication",
    "Subscription",
  ].map((kind) => `postgresql.cnpg.io/v1 ${kind}`),
  ...["v1", "v1beta1"].flatMap((version) =>
    ["SecretStore", "ClusterSecretStore"].map((kind) => `external-secrets.io/${version} ${kind}`),
  ),
  // It makes a Secret.
  "bitnami.com/v1alpha1 SealedSecret",
]);

const ownGroups: ReadonlySet<string> = new Set(
  knownKinds.flatMap(({ apiVersion }) => (apiVersion.includes("/") ? [groupOf(apiVersion)] : [])),
);

function groupOf(apiVersion: string): string {
  return apiVersion.split("/")[0] ?? "";
}

export function findKind(apiVersion: string, kind: string): KnownKind | undefined {
  return knownKinds.find((known) => known.apiVersion === apiVersion && known.kind === kind);
}

/** Whether it is accepted and left alone by name. */
export function isLeftAlone(apiVersion: string, kind: string): boolean {
  return besideBackups.has(`${apiVersion} ${kind}`);
}

/** Whether it belongs to somebody else: another API group than those of the known kinds, and no core kind. */
export function isForeign(apiVersion: string): boolean {
  return apiVersion.includes("/") && !ownGroups.has(groupOf(apiVersion));
}
