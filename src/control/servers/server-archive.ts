import { parseArchivePolicy } from "../../agent/archive-policy.ts";
import { isPossible, type ClusterArchive } from "../clusters/cluster-archive.ts";
import { describeObjectStore, type Resolution, type StoreDescription } from "../clusters/store-resolution.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ServerView } from "./server-view.ts";

/** Where a Server's WAL and base backups go, as its manifest says. */
export function archiveOfServer({ key, spec }: ServerView, store: ResourceStore): Resolution<ClusterArchive> {
  const problems: string[] = [];
  const stores: StoreDescription[] = [];
  for (const { name, serverName = key.name } of spec.stores) {
    const found = describeObjectStore(store, key.namespace, name, serverName);
    if (found.kind === "missing") problems.push(...found.problems);
    else
      stores.push({ ...found.value, retentionPolicy: spec.retentionPolicy ?? found.value.retentionPolicy });
  }
  const { archivePolicy: given = "all" } = spec;
  const policy = typeof given === "string" ? parseArchivePolicy(given) : given;
  if (problems.length === 0) {
    if (typeof policy === "number" && policy > stores.length)
      problems.push(`archivePolicy asks for ${policy} stores, and there are only ${stores.length}`);
    else if (!isPossible(policy, stores))
      problems.push(`archivePolicy "${String(given)}" is not "all", "any", a number or names of its stores`);
  }
  if (problems.length > 0) return { kind: "missing", problems };
  return { kind: "ok", value: { serverName: key.name, stores, policy, method: undefined } };
}
