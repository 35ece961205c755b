import { gib, mib } from "../common/units.ts";
import type { ObjectStore, StoreCapabilities } from "./object-store.ts";

/** Nothing is ever written. */
const capabilities: StoreCapabilities = {
  conditionalCreate: false,
  minPartBytes: 1,
  maxPartBytes: gib,
  maxParts: 10_000,
  preferredPartBytes: 8 * mib,
  parallelParts: true,
};

/** In the place of a store that could not be opened: every call fails with the reason. `url` is for messages. */
export function unopenedStore(url: string, reason: Error): ObjectStore {
  const fail = async () => {
    throw reason;
  };
  const failing = (): AsyncIterable<never> => ({
    [Symbol.asyncIterator]: () => ({ next: fail }),
  });
  return {
    url,
    capabilities,
    head: fail,
    list: failing,
    get: fail,
    put: fail,
    startUpload: fail,
    delete: fail,
    abandonedUploads: failing,
    abortAbandonedUpload: fail,
    close: async () => undefined,
  };
}
