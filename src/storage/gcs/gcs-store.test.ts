/**
 * The adapter on the stand-in; and, when STORAGE_EMULATOR_HOST names an emulator, the contract on that as well.
 */
import { randomUUID } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { kib } from "../../common/units.ts";
import { readObject } from "../object-body.ts";
import type { ObjectStore } from "../object-store.ts";
import { testObjectStore } from "../testing/conformance.ts";
import { pattern } from "../testing/conformance/tools.ts";
import {
  startGcsStandIn,
  type GcsStandIn,
  type StandInFault,
  type StandInRequest,
} from "../testing/gcs-stand-in.ts";
import { withRetry } from "../wrappers/retry.ts";
import { gcsEndpoint } from "./gcs-endpoint.ts";
import { openGcsStore, type GcsStoreOptions } from "./gcs-store.ts";

testObjectStore("Google Cloud Storage (stand-in)", async () => conforming(""));
testObjectStore("Google Cloud Storage (stand-in) below a path", async () => conforming("some/path"));
if (process.env["STORAGE_EMULATOR_HOST"] !== undefined) {
  testObjectStore("Google Cloud Storage (emulator)", async () => {
    const bucket = `tidemark-${randomUUID()}`;
    const response = await fetch(`${gcsEndpoint(undefined, process.env).url}/storage/v1/b?project=tests`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: bucket }),
    });
    if (!response.ok) throw new Error(`the emulator makes no bucket: status ${response.status}`);
    return openGcsStore({ bucket, prefix: "some/path" });
  });
}

async function conforming(prefix: string): Promise<ObjectStore & AsyncDisposable> {
  const standIn = await startGcsStandIn("b");
  const store = await openGcsStore({ bucket: "b", prefix, endpoint: standIn.url });
  return { ...store, [Symbol.asyncDispose]: async () => standIn[Symbol.asyncDispose]() };
}

async function open(
  options: Partial<GcsStoreOptions> = {},
): Promise<{ readonly store: ObjectStore; readonly standIn: GcsStandIn }> {
  const standIn = await startGcsStandIn("b");
  const store = await openGcsStore({ bucket: "b", endpoint: standIn.url, ...options });
  onTestFinished(async () => {
    await store.close();
    await standIn[Symbol.asyncDispose]();
  });
  return { store, standIn };
}
