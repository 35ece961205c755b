import type { Clock } from "../../common/clock.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import { withCondition } from "../resources/conditions.ts";
import type { ResourceStore } from "../resources/resource-store.ts";

/**
 * For a kind that is kept and checked, and on which nothing acts yet: says so on every object of it, and what comes in its
 * place, so that nobody takes silence for protection.
 */
export function unsupportedReconciler(
  kind: string,
  {
    store,
    clock,
    outlook,
  }: { readonly store: ResourceStore; readonly clock: Clock; readonly outlook: string },
): Reconciler {
  return {
    kind,
    reconcile: (key) => {
      const resource = store.get(key);
      if (resource === undefined) return Promise.resolve("never");
      const message = `This version keeps and checks objects of kind ${kind}, and does nothing with them: ${outlook}`;
      const condition = { type: "Ready", status: "False", reason: "NotSupported", message } as const;
      const status = { conditions: withCondition([], condition, clock.now()) };
      if (resource.status === undefined) {
        store.setStatus(key, status, { ifUid: resource.metadata.uid });
        store.recordEvent({ about: resource, type: "Warning", reason: "NotSupported", message });
      }
      return Promise.resolve("never");
    },
  };
}
