import { onTestFinished } from "vitest";
import type { ObjectStore } from "../../object-store.ts";
import { startGcsStandIn, type GcsStandIn } from "../../testing/gcs-stand-in.ts";
import type { StandInBucket } from "../../testing/gcs-stand-in-bucket.ts";
import { openGcsStore, type GcsStoreOptions } from "../gcs-store.ts";

export interface OnStandIn {
  readonly store: ObjectStore;
  readonly standIn: GcsStandIn;
  readonly bucket: StandInBucket;
}

/** The bucket `b` of a stand-in that goes away with the test; nobody is asked for credentials unless the test says so. */
export async function openOnStandIn(options: Partial<GcsStoreOptions> = {}): Promise<OnStandIn> {
  const standIn = await startGcsStandIn("b");
  const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, ...options });
  onTestFinished(async () => {
    await store.close();
    await standIn[Symbol.asyncDispose]();
  });
  const bucket = standIn.buckets.get("b");
  if (bucket === undefined) throw new Error("the stand-in has no bucket");
  return { store, standIn, bucket };
}
