/**
 * The contract, on the stand-in; and, when STORAGE_EMULATOR_HOST names an emulator, on that as well.
 */
import { randomUUID } from "node:crypto";
import { testObjectStore } from "../testing/conformance.ts";
import { startGcsStandIn } from "../testing/gcs-stand-in.ts";
import type { ObjectStore } from "../object-store.ts";
import { gcsEndpoint } from "./gcs-endpoint.ts";
import { openGcsStore } from "./gcs-store.ts";

testObjectStore("Google Cloud Storage (stand-in)", async () => onStandIn(""));
testObjectStore("Google Cloud Storage (stand-in) below a path", async () => onStandIn("some/path"));
if (process.env["STORAGE_EMULATOR_HOST"] !== undefined) {
  testObjectStore("Google Cloud Storage (emulator)", onEmulator);
}

async function onStandIn(prefix: string): Promise<ObjectStore & AsyncDisposable> {
  const standIn = await startGcsStandIn("b");
  const store = await openGcsStore({ bucket: "b", prefix, endpoint: standIn.url });
  return { ...store, [Symbol.asyncDispose]: async () => standIn[Symbol.asyncDispose]() };
}

async function onEmulator(): Promise<ObjectStore> {
  const bucket = `tidemark-${randomUUID()}`;
  const { url } = gcsEndpoint(undefined, process.env);
  const response = await fetch(`${url}/storage/v1/b?project=tests`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: bucket }),
  });
  if (!response.ok) throw new Error(`the emulator makes no bucket: status ${response.status}`);
  return openGcsStore({ bucket, prefix: "some/path" });
}
