import { join } from "node:path";
import { describeError, isEngineError } from "../../common/errors.ts";
import type { InstanceBootstrap } from "../../instance/instance-spec.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { chooseServer } from "./choose-server.ts";
import type { ClusterFacts, InstanceFacts } from "./cluster-facts.ts";
import { clusterFolders } from "./cluster-folders.ts";
import type { ClusterView } from "./cluster-view.ts";
import { copyBootstrap } from "./copy-bootstrap.ts";
import { givenApplication, initdbBootstrap } from "./instance-bootstrap.ts";
import { recoverySourceOf, wantedTarget, wantedTimeline, type Recovery } from "./recovery-bootstrap.ts";
import { writeStoreFiles } from "./store-files.ts";
import { resolveStore, type ResolvedStore } from "./store-resolution.ts";

type BootstrapFact = ClusterFacts["bootstrap"];

interface BootstrapDeps {
  readonly store: ResourceStore;
  readonly stateDirectory: string;
  /** What is known of the instances of any cluster. */
  readonly instancesOf: (cluster: ResourceKey) => Promise<readonly InstanceFacts[]>;
}

/** How the first instance of a cluster comes to be, with everything that it needs at hand. */
export async function resolveBootstrap(view: ClusterView, deps: BootstrapDeps): Promise<BootstrapFact> {
  const made = await bootstrapOf(view, deps);
  if (made.kind !== "ok") return made;
  const { bootstrap, major } = made.value;
  const server = await chooseServer(view, major);
  return server.kind === "missing" ? server : { kind: "ok", value: { bootstrap, ...server.value } };
}

interface ResolvedBootstrap {
  readonly bootstrap: InstanceBootstrap;
  /** Where the data to begin with have one. */
  readonly major: number | undefined;
}
type Unresolved = Exclude<BootstrapFact, { kind: "ok" }>;
type Made<Value> = { readonly kind: "ok"; readonly value: Value } | Unresolved;

async function bootstrapOf(view: ClusterView, deps: BootstrapDeps): Promise<Made<ResolvedBootstrap>> {
  const { recovery, pg_basebackup: copy } = view.spec.bootstrap ?? {};
  if (isReplica(view)) {
    return {
      kind: "missing",
      problems: [
        "spec.replica: a cluster that follows another one is not supported yet; without it the copy stands alone",
      ],
    };
  }
  if (copy !== undefined) return copyBootstrap(view, deps);
  const made =
    recovery === undefined
      ? initdbBootstrap(view, deps.store)
      : await recoveryBootstrap(view, recovery, deps);
  if (made.kind !== "ok") return made;
  return { kind: "ok", value: { bootstrap: made.value, major: undefined } };
}

async function recoveryBootstrap(
  view: ClusterView,
  recovery: Recovery,
  { store, stateDirectory }: BootstrapDeps,
): Promise<Made<InstanceBootstrap>> {
  const source = recoverySourceOf(view, recovery, store);
  if (source.kind !== "ok") return source;
  const { serverName, stores, backup } = source.value;
  const resolved = stores.map((description) => resolveStore(store, view.namespace, description));
  const problems = resolved.flatMap((item) => (item.kind === "missing" ? item.problems : []));
  if (problems.length > 0) return { kind: "missing", problems };
  const ready: readonly ResolvedStore[] = resolved.flatMap((item) =>
    item.kind === "ok" ? [item.value] : [],
  );
  // Apart from the cluster's own stores, which may have the same names and other credentials.
  const directory = join(clusterFolders(stateDirectory, view.key).stores, "source");
  try {
    return {
      kind: "ok",
      value: {
        kind: "recovery",
        server: serverName,
        repositories: [...(await writeStoreFiles(directory, ready))],
        backup,
        timeline: wantedTimeline(recovery),
        target: wantedTarget(recovery),
        ...givenApplication(view),
        tablespaces: {},
      },
    };
  } catch (error) {
    if (isEngineError(error, "usage") || isEngineError(error, "manifest")) {
      return { kind: "missing", problems: [describeError(error)] };
    }
    throw error;
  }
}

/** By `enabled`, or by who is the primary of a distributed topology. */
function isReplica({ spec, name }: ClusterView): boolean {
  const { replica } = spec;
  if (replica === undefined) return false;
  return replica.enabled ?? (replica.primary !== undefined && replica.primary !== (replica.self ?? name));
}
