import type { InstanceBootstrap } from "../../instance/instance-spec.ts";
import { majorOfImage } from "../../manifest/image-major.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, type Resource, type ResourceKey } from "../resources/resource.ts";
import { archiveOf, sharedStore } from "./cluster-archive.ts";
import { isPrimaryServer, isRunning, type InstanceFacts } from "./cluster-facts.ts";
import { phases, rememberedStatus } from "./cluster-status.ts";
import { viewCluster, type ClusterView } from "./cluster-view.ts";
import { copySourceOf } from "./copy-source.ts";
import { givenApplication } from "./instance-bootstrap.ts";
import { missing, type Resolution } from "./store-resolution.ts";

/** A copy of a running cluster, and the major version that it has therefore. */
export interface CopyBootstrap {
  readonly bootstrap: Extract<InstanceBootstrap, { kind: "copy" }>;
  readonly major: number;
}

type CopyResolution =
  | Resolution<CopyBootstrap>
  /** Not there or not well just now, but it may come. */
  | { readonly kind: "waiting"; readonly reason: string };

/**
 * How a cluster comes to be as a copy of another one of this control plane. It is its primary that is copied, whichever of the
 * services is named: on one machine a standby reads from the same disks, so that nothing would be saved, and only a primary can
 * end the copy with a whole segment of WAL.
 *
 * Never into its origin's archive: both have the same system identifier, so that its identity would let the copy in, and
 * `cnpg.io/skipEmptyWalArchiveCheck` the check for emptiness too.
 */
export async function copyBootstrap(
  view: ClusterView,
  deps: {
    readonly store: ResourceStore;
    readonly instancesOf: (cluster: ResourceKey) => Promise<readonly InstanceFacts[]>;
  },
): Promise<CopyResolution> {
  const { store, instancesOf } = deps;
  const named = copySourceOf(view);
  if (named.kind === "missing") return named;
  const name = formatKey(named.value);
  const source = store.get(named.value);
  if (source === undefined) return waiting(`${name}, which is to be copied, is not there yet`);
  if (source.metadata.deletionTimestamp !== undefined) {
    return missing(`${name}, which is to be copied, is being deleted`);
  }
  const { phase, currentPrimary } = rememberedStatus(source.status);
  if (phase !== phases.healthy) return waiting(`${name}, which is to be copied, ${stateOf(source)}`);
  const conflict = archiveConflict(view, source, store);
  if (conflict !== undefined) return conflict;
  const primary = (await instancesOf(named.value)).find((instance) => instance.name === currentPrimary);
  if (primary?.spec === undefined || !isRunning(primary) || !isPrimaryServer(primary)) {
    return waiting(`${name}, which is to be copied, has no primary that runs`);
  }
  return copyOf(view, name, primary.spec, primary.dataDirectory);
}

function copyOf(
  view: ClusterView,
  name: string,
  origin: NonNullable<InstanceFacts["spec"]>,
  dataDirectory: string,
): Resolution<CopyBootstrap> {
  const { socketDirectory: host, port, major } = origin;
  const { imageName } = view.spec;
  const wanted = imageName === undefined ? undefined : majorOfImage(imageName);
  if (wanted !== undefined && wanted !== major) {
    return missing(
      `imageName wants PostgreSQL ${wanted}, and ${name}, which is to be copied, is of ${major}: a copy has the major version of its origin`,
    );
  }
  return {
    kind: "ok",
    value: { bootstrap: { kind: "copy", host, port, dataDirectory, ...givenApplication(view) }, major },
  };
}

function stateOf({ status }: Resource): string {
  const { phase } = rememberedStatus(status);
  const reason = status?.["phaseReason"];
  if (phase === undefined) return "has not been looked at yet";
  return `is not healthy: ${phase}${typeof reason === "string" ? ` (${reason})` : ""}`;
}

function archiveConflict(
  view: ClusterView,
  source: Resource,
  store: ResourceStore,
): Exclude<CopyResolution, { kind: "ok" }> | undefined {
  const own = archiveOf(view, store);
  // Said by whoever asks for the archive itself.
  if (own.kind === "missing") return undefined;
  const origins = archiveOf(viewCluster(source), store);
  if (origins.kind === "missing") {
    return waiting(`where the origin archives cannot be told: ${origins.problems.join("; ")}`);
  }
  const shared = sharedStore(own.value, origins.value);
  if (shared === undefined) return undefined;
  return missing(
    `it would archive to ${shared.configuration.destinationPath} as server "${shared.serverName}", where its origin does: give it a serverName of its own`,
  );
}

function waiting(reason: string): { readonly kind: "waiting"; readonly reason: string } {
  return { kind: "waiting", reason };
}
