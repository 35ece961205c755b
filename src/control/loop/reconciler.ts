import type { ResourceChange } from "../resources/resource-store.ts";
import type { ResourceKey } from "../resources/resource.ts";

/**
 * Brings the world closer to what one object says. Called again and again, at any time, from any state: after a change of
 * the object or of one it depends on, after a restart, after a failure. So it looks at what is, decides, acts, notes the
 * status, and says when it wants to look again. It never waits for slow things; it looks again.
 */
export interface Reconciler {
  readonly kind: string;
  /** Throws for what a later call may bring right: it is logged, and tried again with growing pauses. */
  reconcile(key: ResourceKey, signal: AbortSignal): Promise<Again>;
  /** Which objects of this kind are to be looked at because of a change of another one, of whatever kind. */
  affectedBy?(change: ResourceChange): readonly ResourceKey[];
}

/** When to look again without being asked; `never` leaves it to changes. */
export type Again = { readonly afterMs: number } | "never";
