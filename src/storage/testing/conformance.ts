/**
 * The contract of `ObjectStore` as tests. An adapter's own test says how to make a store and nothing else that is
 * promised here; what only one adapter promises is tested beside it.
 */
import { afterAll, beforeAll, describe } from "vitest";
import type { ObjectStore } from "../object-store.ts";
import { testListing } from "./conformance/listing.ts";
import { testObjects } from "./conformance/objects.ts";
import { testUploads } from "./conformance/uploads.ts";

/** A fresh store over an empty root; called once per suite. */
export type MakeStore = () => Promise<ObjectStore & Partial<AsyncDisposable>>;

/** Runs the contract on a store, which is closed (and disposed of, if it can be) at the end. */
export function testObjectStore(name: string, makeStore: MakeStore): void {
  describe(`${name} keeps the contract of an object store`, () => {
    let store: ObjectStore & Partial<AsyncDisposable>;
    beforeAll(async () => {
      store = await makeStore();
    });
    afterAll(async () => {
      await store.close();
      await store[Symbol.asyncDispose]?.();
    });

    testObjects(() => store);
    testListing(() => store);
    testUploads(() => store);
  });
}
