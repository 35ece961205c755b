import { z } from "zod";
import { backupTarget, keySelector, localReference, objectOf, quantity, retentionPolicy } from "./common.ts";
import { fieldFacts, kubernetesOnly, kubernetesOnlyFields } from "./field-facts.ts";
import { inTreeStore } from "./object-store.ts";

/** Cluster (spec: sections 5 and 6). */

const plugin = z.strictObject({
  name: z.string(),
  enabled: z.boolean().optional(),
  isWALArchiver: z.boolean().optional(),
  parameters: z.record(z.string(), z.string()).optional(),
});

const deprecatedStore = inTreeStore.register(fieldFacts, {
  deprecated:
    "an ObjectStore and the plugin barman-cloud.cloudnative-pg.io; CloudNativePG 1.31 takes this away",
});

const sqlReferences = z.strictObject({
  secretRefs: z.array(keySelector).optional(),
  configMapRefs: z.array(keySelector).optional(),
});
const sql = z.array(z.string());

const initdb = z.strictObject({
  database: z.string().optional(),
  owner: z.string().optional(),
  secret: localReference.optional(),
  options: z.array(z.string()).optional(),
  dataChecksums: z.boolean().optional(),
  encoding: z.string().optional(),
  localeCollate: z.string().optional(),
  localeCType: z.string().optional(),
  locale: z.string().optional(),
  localeProvider: z.string().optional(),
  icuLocale: z.string().optional(),
  icuRules: z.string().optional(),
  builtinLocale: z.string().optional(),
  walSegmentSize: z
    .number()
    .int()
    .min(1)
    .max(1024)
    .refine((size) => Number.isInteger(Math.log2(size)), "WAL segment size must be a power of 2")
    .optional(),
  postInitSQL: sql.optional(),
  postInitApplicationSQL: sql.optional(),
  postInitTemplateSQL: sql.optional(),
  postInitSQLRefs: sqlReferences.optional(),
  postInitApplicationSQLRefs: sqlReferences.optional(),
  postInitTemplateSQLRefs: sqlReferences.optional(),
  /** A copy of another server's data: leaving it out would make an empty database. */
  import: z.never("logical import is not supported here").optional(),
});

const application = {
  database: z.string().optional(),
  owner: z.string().optional(),
  secret: localReference.optional(),
};

/** Also what a RestoreDrill may aim at. */
export const recoveryTarget = z.strictObject({
  backupID: z.string().optional(),
  targetTLI: z.string().optional(),
  targetTime: z.string().optional(),
  targetXID: z.string().optional(),
  targetLSN: z.string().optional(),
  targetName: z.string().optional(),
  targetImmediate: z.boolean().nullable().optional(),
  exclusive: z.boolean().nullable().optional(),
});

const recovery = z.strictObject({
  backup: z.strictObject({ name: z.string(), endpointCA: keySelector.optional() }).optional(),
  source: z.string().optional(),
  recoveryTarget: recoveryTarget.optional(),
  ...application,
  volumeSnapshots: z.never("there are no volume snapshots on one machine").optional(),
});

const bootstrap = z.strictObject({
  initdb: initdb.optional(),
  recovery: recovery.optional(),
  pg_basebackup: z.strictObject({ source: z.string(), ...application }).optional(),
});

/**
 * Kubernetes' own SecretKeySelector: of a password or certificate for a connection. The only servers that are connected to are of
 * this control plane, over sockets that ask for neither.
 */
const connectionSecret = z
  .strictObject({
    name: z.string().optional(),
    key: z.string(),
    optional: z.boolean().optional(),
  })
  .register(fieldFacts, { kubernetesOnly: true });

const externalCluster = z.strictObject({
  name: z.string(),
  connectionParameters: z.record(z.string(), z.string()).optional(),
  sslCert: connectionSecret.optional(),
  sslKey: connectionSecret.optional(),
  sslRootCert: connectionSecret.optional(),
  password: connectionSecret.optional(),
  barmanObjectStore: deprecatedStore.optional(),
  plugin: plugin.optional(),
});

const storage = z.strictObject({
  size: quantity.optional(),
  ...kubernetesOnlyFields(["storageClass", "resizeInUseVolumes"]),
  pvcTemplate: z
    .looseObject({
      resources: z
        .looseObject({ requests: z.looseObject({ storage: quantity.optional() }).optional() })
        .optional(),
    })
    .optional(),
});

const tablespace = z.strictObject({
  name: z.string(),
  storage,
  owner: localReference.optional(),
  temporary: z.boolean().optional(),
});

const postgresql = z.strictObject({
  parameters: z.record(z.string(), z.string()).optional(),
  pg_hba: z.array(z.string()).optional(),
  pg_ident: z.array(z.string()).optional(),
  shared_preload_libraries: z.array(z.string()).optional(),
  ...kubernetesOnlyFields([
    "enableAlterSystem",
    "extensions",
    "ldap",
    "promotionTimeout",
    "syncReplicaElectionConstraint",
    "synchronous",
  ]),
});

const replica = z.strictObject({
  source: z.string(),
  enabled: z.boolean().optional(),
  self: z.string().optional(),
  primary: z.string().optional(),
  promotionToken: z.string().optional(),
  minApplyDelay: z.string().optional(),
});

export const cluster = objectOf(
  "postgresql.cnpg.io/v1",
  "Cluster",
  z.strictObject({
    description: z.string().optional(),
    instances: z.number().int().min(1).optional(),
    imageName: z.string().optional(),
    bootstrap: bootstrap.optional(),
    backup: z
      .strictObject({
        target: backupTarget.optional(),
        retentionPolicy: retentionPolicy.optional(),
        barmanObjectStore: deprecatedStore.optional(),
        volumeSnapshot: kubernetesOnly.optional(),
      })
      .optional(),
    plugins: z.array(plugin).optional(),
    externalClusters: z.array(externalCluster).optional(),
    replica: replica.optional(),
    postgresql: postgresql.optional(),
    storage: storage.optional(),
    walStorage: storage.optional(),
    tablespaces: z.array(tablespace).optional(),
    superuserSecret: localReference.optional(),
    enableSuperuserAccess: z.boolean().optional(),
    failoverDelay: z.number().int().min(0).optional(),
    ...kubernetesOnlyFields([
      "affinity",
      "certificates",
      "enablePDB",
      "env",
      "envFrom",
      "ephemeralVolumeSource",
      "ephemeralVolumesSizeLimit",
      "imageCatalogRef",
      "imagePullPolicy",
      "imagePullSecrets",
      "inheritedMetadata",
      "livenessProbeTimeout",
      "logLevel",
      "managed",
      "maxSyncReplicas",
      "minSyncReplicas",
      "monitoring",
      "nodeMaintenanceWindow",
      "podSecurityContext",
      "postgresGID",
      "podSelectorRefs",
      "postgresUID",
      "primaryLease",
      "primaryUpdateMethod",
      "primaryUpdateStrategy",
      "priorityClassName",
      "probes",
      "projectedVolumeTemplate",
      "replicationSlots",
      "resources",
      "schedulerName",
      "seccompProfile",
      "securityContext",
      "serviceAccountName",
      "serviceAccountTemplate",
      "smartShutdownTimeout",
      "startDelay",
      "stopDelay",
      "switchoverDelay",
      "topologySpreadConstraints",
    ]),
  }),
);
