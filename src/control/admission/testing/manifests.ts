import type { ResourceStore } from "../../resources/resource-store.ts";

/** Manifests that belong together, in the namespace `prod`, with nothing to say of them. */

export const secretValue = "geheimnis-0815";

export const secret = `apiVersion: v1
kind: Secret
metadata: {name: s3, namespace: prod}
stringData: {ID: tidemark, KEY: ${secretValue}}
`;

export const objectStore = `apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata: {name: store, namespace: prod, labels: {tier: backup}}
spec:
  retentionPolicy: 30d
  configuration:
    destinationPath: s3://bucket/path
    s3Credentials:
      accessKeyId: {name: s3, key: ID}
      secretAccessKey: {name: s3, key: KEY}
`;

export const cluster = `apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: pg, namespace: prod, labels: {team: data}, annotations: {note: first}}
spec:
  instances: 1
  storage: {size: 1Gi}
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      isWALArchiver: true
      parameters: {barmanObjectName: store}
`;

const plugin = "method: plugin\n  pluginConfiguration: {name: barman-cloud.cloudnative-pg.io}";

export const backup = `apiVersion: postgresql.cnpg.io/v1
kind: Backup
metadata: {name: once, namespace: prod}
spec:
  cluster: {name: pg}
  ${plugin}
`;

export const scheduledBackup = `apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: nightly, namespace: prod}
spec:
  schedule: 0 0 3 * * *
  cluster: {name: pg}
  ${plugin}
`;

export const namespace = `apiVersion: v1
kind: Namespace
metadata: {name: prod, labels: {stage: production}}
`;

export const restoredCluster = `apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: copy, namespace: prod}
spec:
  storage: {size: 1Gi}
  bootstrap: {recovery: {source: origin}}
  externalClusters:
    - name: origin
      plugin:
        name: barman-cloud.cloudnative-pg.io
        parameters: {barmanObjectName: store, serverName: pg}
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      parameters: {barmanObjectName: store}
`;

/** All of them; none says anything about another that is not true whatever the order. */
export const allManifests: readonly string[] = [
  namespace,
  secret,
  objectStore,
  cluster,
  backup,
  scheduledBackup,
  restoredCluster,
];

/** What a store says, without what only the store itself writes: uids, versions, times. */
export function saidBy(store: ResourceStore): unknown {
  return store.list().map(({ apiVersion, kind, metadata, content }) => {
    const { name, namespace: place, labels, annotations, finalizers, ownerReferences } = metadata;
    return { apiVersion, kind, place, name, content, labels, annotations, finalizers, ownerReferences };
  });
}
