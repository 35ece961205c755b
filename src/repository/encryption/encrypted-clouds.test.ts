/** Encryption where uploads go another way than in a directory: in one sequence (Google), as named blocks (Azure). */
import { expect, onTestFinished, test } from "vitest";
import { startAzurite } from "../../../test/support/azurite.ts";
import { Secret } from "../../common/log.ts";
import { openAzureStore } from "../../storage/azure/azure-store.ts";
import { openGcsStore } from "../../storage/gcs/gcs-store.ts";
import { readObject } from "../../storage/object-body.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { collect, keysOf, pattern } from "../../storage/testing/conformance/tools.ts";
import { startGcsStandIn } from "../../storage/testing/gcs-stand-in.ts";
import { fixedKeys } from "./testing/fixed-keys.ts";
import { withEncryption } from "./with-encryption.ts";

async function google(): Promise<ObjectStore> {
  const standIn = await startGcsStandIn("b");
  onTestFinished(async () => standIn[Symbol.asyncDispose]());
  return openGcsStore({ bucket: "b", prefix: "p", endpoint: standIn.url });
}

async function azure(): Promise<ObjectStore> {
  const azurite = await startAzurite();
  onTestFinished(async () => azurite[Symbol.asyncDispose]());
  const { account, key, endpoint } = azurite;
  const container = await azurite.freshContainer();
  const credentials = { kind: "key", account, key: new Secret(key), endpoint: undefined } as const;
  return openAzureStore({ account, endpoint, container, prefix: "p", credentials });
}

test.each([
  ["Google", google, [0, 1, 2]],
  ["Azure", azure, [2, 0, 1]],
] as const)("an encrypted upload to %s is put together and read back", async (_name, open, order) => {
  const below = await open();
  const store = withEncryption(below, { keys: fixedKeys(), root: "" });
  onTestFinished(async () => store.close());
  const partBytes = 1_048_576;
  const content = pattern(2 * partBytes + 17, 1);

  const upload = await store.startUpload("one", { partBytes, ifAbsent: true });
  for (const index of order) {
    await upload.writePart(index, [content.subarray(index * partBytes, (index + 1) * partBytes)]);
  }
  expect(await upload.complete()).toMatchObject({ key: "one", sizeBytes: content.length });

  expect((await readObject(store, "one", content.length))?.equals(content)).toBe(true);
  const stored = await readObject(below, "one.age", 2 * content.length);
  expect(stored?.includes(content.subarray(0, 64))).toBe(false);
  await store.delete(["one"]);
  expect(keysOf(await collect(below.list("")))).toEqual([]);
});

test("a store that forgets what was left of uploads does so below encryption, too", async () => {
  const store = withEncryption(await google(), { keys: fixedKeys(), root: "" });
  onTestFinished(async () => store.close());

  expect(store.capabilities.forgetsAbandonedUploads).toBe(true);
});
