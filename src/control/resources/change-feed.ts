import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { ResourceChange } from "./resource-store.ts";
import { formatKey, keyOf } from "./resource.ts";

type Listener = (change: ResourceChange) => void;

/**
 * Tells everybody of every change, in one order. A listener may write to the store: what comes of that is told after what
 * is being told just now, to all.
 */
export class ChangeFeed {
  readonly #log: Log;
  readonly #listeners = new Map<symbol, { readonly listener: Listener; readonly sinceVersion: number }>();
  #waiting: ResourceChange[] = [];
  #isTelling = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `version` is the store's at this moment: changes up to it may still be on their way to others. */
  subscribe(listener: Listener, version: number): () => void {
    // A key of its own: the same function may be subscribed twice.
    const id = Symbol("listener");
    this.#listeners.set(id, { listener, sinceVersion: version });
    return () => {
      this.#listeners.delete(id);
    };
  }

  tell(changes: readonly ResourceChange[]): void {
    this.#waiting.push(...changes);
    if (this.#isTelling) return;
    this.#isTelling = true;
    // An array that grows while it is walked through: by what listeners write.
    for (const change of this.#waiting) this.#tellAll(change);
    this.#waiting = [];
    this.#isTelling = false;
  }

  #tellAll(change: ResourceChange): void {
    const version = Number(change.resource.metadata.resourceVersion);
    for (const { listener, sinceVersion } of this.#listeners.values()) {
      if (version <= sinceVersion) continue;
      try {
        listener(change);
      } catch (error) {
        this.#log.error("a listener could not take a change", {
          resource: formatKey(keyOf(change.resource)),
          error: describeError(error),
        });
      }
    }
  }
}
