/** A Cluster by the host name of one of its services. */
export interface ClusterService {
  readonly cluster: string;
  /** Undefined for the namespace of whoever asks. */
  readonly namespace: string | undefined;
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/**
 * Reads the host name by which a Cluster is reached on Kubernetes: `<cluster>-rw`, `-ro` or `-r`, alone, with `.<namespace>`, and
 * behind that with `.svc` and a cluster domain (`pg-rw.production.svc.cluster.local`). Undefined for any other host. Whether there
 * is such a Cluster it does not say: a host `db-r.example` has the same form.
 */
export function parseClusterService(host: string): ClusterService | undefined {
  const [service = "", namespace, kind = "svc", ...domain] = host.toLowerCase().replace(/\.$/, "").split(".");
  // The services of a Cluster "pg-r" end with "-r-rw": only the last part is the service's own.
  const cluster = /^([a-z](?:[-a-z0-9]*[a-z0-9])?)-(?:rw|ro|r)$/.exec(service)?.[1];
  if (cluster === undefined || kind !== "svc") return undefined;
  const rest = namespace === undefined ? domain : [namespace, ...domain];
  return rest.every((part) => label.test(part)) ? { cluster, namespace } : undefined;
}
