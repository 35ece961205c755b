import type { Reconciler } from "../loop/reconciler.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { draftOf, type ResourceDraft, type ResourceKey } from "../resources/resource.ts";

/**
 * A Namespace is deleted with everything in it, as on Kubernetes. Every Namespace is made with this finalizer: asked to go,
 * it is marked, the reconciler deletes what is in it, and takes the finalizer away when nothing is left.
 */
export const namespaceFinalizer = "tidemark.dev/namespace-contents";

/** Of a namespace that objects are put into and that nobody has made. */
export function impliedNamespace(name: string): ResourceDraft {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    namespace: "",
    name,
    content: {},
    finalizers: [namespaceFinalizer],
  };
}

export function namespaceKey(name: string): ResourceKey {
  return { kind: "Namespace", namespace: "", name };
}

/** Empties namespaces that are to go. */
export function namespaceReconciler(store: ResourceStore): Reconciler {
  return {
    kind: "Namespace",
    async reconcile(key) {
      const namespace = store.get(key);
      if (namespace?.metadata.deletionTimestamp === undefined) return "never";
      for (const { kind, metadata } of store.list({ namespace: key.name })) {
        if (metadata.deletionTimestamp !== undefined) continue;
        // What goes with its owner is gone by the time that it is its turn.
        store.delete({ kind, namespace: key.name, name: metadata.name }, { ifUid: metadata.uid });
      }
      if (store.list({ namespace: key.name }).length > 0) return "never";
      const { finalizers } = namespace.metadata;
      store.update({
        ...draftOf(namespace),
        finalizers: finalizers.filter((finalizer) => finalizer !== namespaceFinalizer),
      });
      return "never";
    },
    affectedBy({ type, resource }) {
      const { namespace } = resource.metadata;
      return type === "deleted" && namespace !== "" ? [namespaceKey(namespace)] : [];
    },
  };
}
