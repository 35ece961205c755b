import { barmanPlugin } from "../../../manifest/lint/cluster-stores.ts";
import type { Resource, ResourceDraft } from "../../resources/resource.ts";

/** Objects as people apply them, for tests; all in the namespace `production`. */

const namespace = "production";
const cnpg = "postgresql.cnpg.io/v1";

export function clusterDraft(
  spec: Readonly<Record<string, unknown>> = {},
  annotations: Readonly<Record<string, string>> = {},
): ResourceDraft {
  const parameters = { barmanObjectName: "store" };
  return {
    apiVersion: cnpg,
    kind: "Cluster",
    namespace,
    name: "pg",
    annotations,
    content: { spec: { storage: { size: "1Gi" }, plugins: [{ name: barmanPlugin, parameters }], ...spec } },
  };
}

/** A directory of this machine, with one Cluster's plugin in mind. */
export function objectStoreDraft(
  directory: string,
  { name = "store", ...spec }: Readonly<Record<string, unknown>> & { readonly name?: string } = {},
): ResourceDraft {
  return {
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    namespace,
    name,
    content: { spec: { configuration: { destinationPath: directory }, ...spec } },
  };
}

export function backupDraft(name: string, spec: Readonly<Record<string, unknown>> = {}): ResourceDraft {
  return {
    apiVersion: cnpg,
    kind: "Backup",
    namespace,
    name,
    content: { spec: { cluster: { name: "pg" }, ...spec } },
  };
}

export function scheduleDraft(spec: Readonly<Record<string, unknown>> = {}): ResourceDraft {
  const usual = { cluster: { name: "pg" }, schedule: "0 0 3 * * *" };
  return {
    apiVersion: cnpg,
    kind: "ScheduledBackup",
    namespace,
    name: "nightly",
    content: { spec: { ...usual, ...spec } },
  };
}

/** A draft as the store would hand it out, for decisions that need no store. */
export function resourceOf(
  draft: ResourceDraft,
  more: {
    readonly createdAt?: string;
    readonly uid?: string;
    readonly status?: Readonly<Record<string, unknown>> | undefined;
  } = {},
): Resource {
  const { apiVersion, kind, name, content } = draft;
  return {
    apiVersion,
    kind,
    content,
    status: more.status,
    metadata: {
      name,
      namespace: draft.namespace,
      uid: more.uid ?? `uid-of-${name}`,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: more.createdAt ?? "2026-11-21T12:00:00Z",
      labels: draft.labels ?? {},
      annotations: draft.annotations ?? {},
      ownerReferences: draft.ownerReferences ?? [],
      finalizers: draft.finalizers ?? [],
    },
  };
}
