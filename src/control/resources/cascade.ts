import type { ResourceChange } from "./resource-store.ts";
import type { Resource } from "./resource.ts";
import { toTimestamp } from "./timestamp.ts";

/**
 * What goes with an object: itself first, then whatever only it or what goes with it owned, at all depths, each behind its
 * owners. What has finalizers is marked instead, and keeps what it owns; what has another owner left only loses its
 * references to those that went (Kubernetes' garbage collector does the same, some time later).
 *
 * Relies on each owner of an object that is not marked being among `objects`. Versions are still to be given.
 */
export function planRemoval(root: Resource, objects: Iterable<Resource>, now: Date): ResourceChange[] {
  const changes: ResourceChange[] = [{ type: "deleted", resource: root }];
  const gone = new Set([root.metadata.uid]);
  let kept = [...objects].filter(
    ({ metadata }) => metadata.ownerReferences.length > 0 && metadata.deletionTimestamp === undefined,
  );
  for (let goneBefore = 0; goneBefore < gone.size;) {
    goneBefore = gone.size;
    const stillKept: Resource[] = [];
    for (const resource of kept) {
      const { uid, ownerReferences, finalizers } = resource.metadata;
      if (gone.has(uid)) continue;
      if (ownerReferences.some((owner) => !gone.has(owner.uid))) {
        stillKept.push(resource);
      } else if (finalizers.length > 0) {
        changes.push({ type: "modified", resource: markedForDeletion(resource, now) });
      } else {
        changes.push({ type: "deleted", resource });
        gone.add(uid);
      }
    }
    kept = stillKept;
  }
  for (const { metadata, ...rest } of kept) {
    const ownerReferences = metadata.ownerReferences.filter(({ uid }) => !gone.has(uid));
    if (ownerReferences.length < metadata.ownerReferences.length) {
      changes.push({ type: "modified", resource: { ...rest, metadata: { ...metadata, ownerReferences } } });
    }
  }
  return changes;
}

export function markedForDeletion(resource: Resource, now: Date): Resource {
  return { ...resource, metadata: { ...resource.metadata, deletionTimestamp: toTimestamp(now) } };
}
