import { setTimeout as sleep } from "node:timers/promises";
import { EngineError } from "../../src/common/errors.ts";
import type { CallOptions, ObjectStore } from "../../src/storage/object-store.ts";
import { interceptStore, tapIterable } from "../../src/storage/wrappers/intercept.ts";

/** What may be wrong with a store: nothing, it refuses at once, never answers, is slow, or refuses every second call. */
export const troubles = ["none", "dead", "hanging", "slow", "every-second"] as const;
export type Trouble = (typeof troubles)[number];

/** Every call of a slow store takes so long, and its content besides. */
const slowCallMs = 150;
const slowBytesPerSecond = 512 * 1024;

/** A store whose trouble can be changed while it is used. Calls that hang fail when it changes. */
export function troubledStore(inner: ObjectStore): {
  readonly store: ObjectStore;
  set(trouble: Trouble): void;
} {
  let trouble: Trouble = "none";
  let changed = Promise.withResolvers<void>();
  let calls = 0;
  const suffer = async (bytes: number, { signal }: CallOptions): Promise<void> => {
    const refused = new EngineError("store-unavailable", `this store is ${trouble}`);
    if (trouble === "dead") throw refused;
    if (trouble === "every-second" && calls++ % 2 === 0) throw refused;
    if (trouble === "slow") await sleep(slowCallMs + (bytes / slowBytesPerSecond) * 1000);
    if (trouble === "hanging") {
      const given = Promise.withResolvers<void>();
      signal?.addEventListener("abort", () => given.resolve(), { once: true });
      await Promise.race([changed.promise, given.promise]);
      throw refused;
    }
  };
  const store = interceptStore(inner, {
    call: async (call, options, run) => {
      await suffer(call.bytes, options);
      return run(options);
    },
    listing: (_call, options, open) =>
      tapIterable(() => open(options), {
        step: async (next) => {
          await suffer(0, options);
          return next();
        },
      }),
  });
  return {
    store,
    set: (next) => {
      trouble = next;
      changed.resolve();
      changed = Promise.withResolvers<void>();
    },
  };
}
