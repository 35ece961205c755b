import { parseClusterService } from "../../manifest/cluster-service.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { rememberedStatus } from "./cluster-status.ts";
import { viewCluster, type ClusterView } from "./cluster-view.ts";
import { missing, type Resolution } from "./store-resolution.ts";

/**
 * The Cluster that `bootstrap.pg_basebackup` copies. Its host is not looked up anywhere: it is taken as CloudNativePG names
 * services, and whoever has that name is copied over its socket. So user, password and certificates have no part in it.
 */
export function copySourceOf({ spec, name, namespace }: ClusterView): Resolution<ResourceKey> {
  const source = spec.bootstrap?.pg_basebackup?.source ?? "";
  const external = spec.externalClusters?.find((entry) => entry.name === source);
  if (external === undefined) return missing(`external cluster "${source}" is not in spec.externalClusters`);
  const { connectionParameters: parameters, sslCert, sslKey } = external;
  const host = parameters?.["hostaddr"] ?? parameters?.["host"];
  if (host === undefined) {
    return missing(
      `external cluster "${source}" has no connectionParameters.host: there is no server to copy`,
    );
  }
  const service = parseClusterService(host);
  if (service === undefined) {
    const certificates =
      sslCert === undefined && sslKey === undefined
        ? ""
        : "; nobody is reached with TLS client certificates either";
    return missing(
      `external cluster "${source}" is at host "${host}", which is no Cluster's: bootstrap.pg_basebackup copies a Cluster of this control plane, named by its service (<cluster>-rw, -ro or -r, with .<namespace> where that is another one)${certificates}`,
    );
  }
  const key = { kind: "Cluster", namespace: service.namespace ?? namespace, name: service.cluster };
  if (key.name === name && key.namespace === namespace) {
    return missing(`external cluster "${source}" is at host "${host}", which is this Cluster's own`);
  }
  return { kind: "ok", value: key };
}

/** The Clusters that are to become copies of this one and have no data yet: what it is at is news to them. */
export function copiesToMake(store: ResourceStore, source: ResourceKey): readonly ResourceKey[] {
  return store
    .list({ kind: "Cluster" })
    .filter((resource) => isToCopy(resource, source))
    .map(keyOf);
}

function isToCopy(resource: Resource, source: ResourceKey): boolean {
  if (valueAt(resource.content, ["spec", "bootstrap", "pg_basebackup"]) === undefined) return false;
  if (rememberedStatus(resource.status).systemId !== undefined) return false;
  const named = copySourceOfReadable(resource);
  if (named?.kind !== "ok") return false;
  return named.value.namespace === source.namespace && named.value.name === source.name;
}

/** That a Cluster cannot be understood is said when it is looked at itself. */
function copySourceOfReadable(resource: Resource): Resolution<ResourceKey> | undefined {
  try {
    return copySourceOf(viewCluster(resource));
  } catch {
    return undefined;
  }
}
