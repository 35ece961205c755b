import { describeError, isEngineError } from "../../common/errors.ts";
import { findServerBinaries, listServerBinaries } from "../../postgres/server-binaries.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ClusterFacts } from "./cluster-facts.ts";
import { clusterFolders } from "./cluster-folders.ts";
import type { ClusterView } from "./cluster-view.ts";
import { applicationOf, initdbBootstrap } from "./instance-bootstrap.ts";
import { recoverySourceOf, wantedTarget, wantedTimeline } from "./recovery-bootstrap.ts";
import { majorOfImage } from "./server-parameters.ts";
import { resolveStore, type ResolvedStore } from "./store-resolution.ts";
import { writeStoreFiles } from "./store-files.ts";
import { join } from "node:path";

type BootstrapFact = ClusterFacts["bootstrap"];

/** How the first instance of a cluster comes to be, with everything that it needs at hand. */
export async function resolveBootstrap(
  view: ClusterView,
  store: ResourceStore,
  stateDirectory: string,
): Promise<BootstrapFact> {
  const server = await chooseServer(view);
  if (server.kind === "missing") return server;
  const made = await bootstrapOf(view, store, stateDirectory);
  if (made.kind !== "ok") return made;
  return { kind: "ok", value: { bootstrap: made.value, ...server.value } };
}

type Bootstrap = Extract<BootstrapFact, { kind: "ok" }>["value"]["bootstrap"];
type Made = { readonly kind: "ok"; readonly value: Bootstrap } | Exclude<BootstrapFact, { kind: "ok" }>;

async function bootstrapOf(view: ClusterView, store: ResourceStore, stateDirectory: string): Promise<Made> {
  const { recovery, pg_basebackup: copy } = view.spec.bootstrap ?? {};
  if (isReplica(view)) {
    return {
      kind: "missing",
      problems: [
        "spec.replica: a cluster that follows another one is not supported yet; without it the copy stands alone",
      ],
    };
  }
  if (copy !== undefined) {
    return {
      kind: "missing",
      problems: ["bootstrap.pg_basebackup is not supported yet: recover from a store instead"],
    };
  }
  if (recovery === undefined) return initdbBootstrap(view, store);
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
  const application = applicationOf(view);
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
        ...(application === undefined
          ? {}
          : { application: { database: application.database, owner: application.owner } }),
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

/** By `imageName`; without one, CloudNativePG's own default has a major too, and here it is the newest there is. */
async function chooseServer(view: ClusterView): Promise<
  | {
      readonly kind: "ok";
      readonly value: { readonly major: number; readonly binDirectory: string | undefined };
    }
  | { readonly kind: "missing"; readonly problems: readonly string[] }
> {
  const { imageName } = view.spec;
  const wanted = imageName === undefined ? undefined : majorOfImage(imageName);
  if (imageName !== undefined && wanted === undefined) {
    return {
      kind: "missing",
      problems: [
        `imageName "${imageName}" does not say which PostgreSQL it is: write a tag that begins with the major version`,
      ],
    };
  }
  try {
    const [newest] = (await listServerBinaries()).toSorted((a, b) => b.major - a.major);
    const { major } =
      wanted === undefined && newest !== undefined ? newest : await findServerBinaries({ major: wanted });
    // The instance looks for the programs itself: an update of the machine's own server moves them.
    return { kind: "ok", value: { major, binDirectory: undefined } };
  } catch (error) {
    if (!isEngineError(error, "postgres-missing")) throw error;
    return {
      kind: "missing",
      problems: [`${error.message}${error.hint === undefined ? "" : `. ${error.hint}`}`],
    };
  }
}
