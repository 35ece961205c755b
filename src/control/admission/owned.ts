import type { ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";

/**
 * What goes when these objects are deleted: of a Namespace everything in it, of others whatever only they own, at all
 * depths. The objects themselves are not among them. Objects that are not there own nothing.
 */
export function goesWith(store: ResourceStore, keys: readonly ResourceKey[]): readonly ResourceKey[] {
  const gone = new Map<string, Resource>();
  const found: Resource[] = [];
  const visit = (resource: Resource): void => {
    for (const owned of store.list({ ownerUid: resource.metadata.uid })) {
      const { uid, ownerReferences } = owned.metadata;
      if (gone.has(uid) || !ownerReferences.every((owner) => gone.has(owner.uid))) continue;
      gone.set(uid, owned);
      found.push(owned);
      visit(owned);
    }
  };
  const roots = keys.flatMap((key) => store.get(key) ?? []);
  for (const root of roots) gone.set(root.metadata.uid, root);
  for (const { kind, metadata } of roots) {
    if (kind !== "Namespace") continue;
    for (const inside of store.list({ namespace: metadata.name })) {
      if (gone.has(inside.metadata.uid)) continue;
      gone.set(inside.metadata.uid, inside);
      found.push(inside);
    }
  }
  for (const root of roots) visit(root);
  return found.map(keyOf);
}
