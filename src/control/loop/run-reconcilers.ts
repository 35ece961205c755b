import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { ReconcileLoop } from "./reconcile-loop.ts";
import type { Reconciler } from "./reconciler.ts";

export interface ReconcilersOptions {
  readonly store: ResourceStore;
  /** Several may have the same kind: each has its own turns. */
  readonly reconcilers: readonly Reconciler[];
  readonly clock: Clock;
  readonly log: Log;
  /** Stops them; calls under way get it as well. */
  readonly signal: AbortSignal;
  /** Calls of one reconciler at a time. Default 8: they mostly wait, for a store or an instance that may be slow to answer. */
  readonly concurrency?: number;
}

export interface RunningReconcilers {
  /**
   * Has an object looked at because of something that the store does not know, such as an instance that has ended. Nothing
   * happens when no reconciler has this kind. `key` is of an object of that kind.
   */
  trigger(kind: string, key: Pick<ResourceKey, "namespace" | "name">): void;
  /** Resolves when the signal has fired and the last call has ended. */
  readonly ended: Promise<void>;
}

/**
 * Lets reconcilers work until the signal fires. Each is called for every object of its kind at the start, for those that
 * change (also that are deleted, with the key of what is not there any more), for those that a change of another kind
 * affects, when the time has come that it asked for, and after a failure: 1 s later, then doubling up to a minute. It is
 * never called twice at once for one key; what happens to the key during a call leads to another one behind it.
 */
export function runReconcilers(options: ReconcilersOptions): RunningReconcilers {
  const { reconcilers, concurrency = 8, ...rest } = options;
  const loops = reconcilers.map((reconciler) => ({
    kind: reconciler.kind,
    loop: new ReconcileLoop({ ...rest, reconciler, concurrency }),
  }));
  const ended = Promise.all(loops.map(async ({ loop }) => loop.run())).then(() => undefined);
  return {
    trigger: (kind, { namespace, name }) => {
      for (const each of loops) if (each.kind === kind) each.loop.add({ kind, namespace, name });
    },
    ended,
  };
}
