import { throwIfAborted } from "../../common/abort.ts";
import { Semaphore } from "../../common/concurrency.ts";
import type { ObjectStore } from "../object-store.ts";
import { interceptStore, tapIterable } from "./intercept.ts";

/**
 * A store with at most `limit` calls under way; more wait their turn, first come first served. An opened body holds no
 * place: whoever reads one object to write another would wait for itself. Each step of a listing is a call.
 */
export function withConcurrencyLimit(store: ObjectStore, limit: number): ObjectStore {
  const gate = new Semaphore(limit);
  return interceptStore(store, {
    call: async (_call, options, run) =>
      gate.run(async () => {
        throwIfAborted(options.signal);
        return run(options);
      }),
    listing: (_call, options, open) =>
      tapIterable(() => open(options), { step: async (next) => gate.run(next) }),
  });
}
