import { describe, expect, test } from "vitest";
import { freshBucket } from "../../../test/ceph/s3-service.ts";
import { sharedCephGateway } from "../../../test/ceph/shared-gateway.ts";
import { cephPrograms, leftOut, reasonToSkip } from "../../../test/support/peer-programs.ts";
import { checkStore } from "../../check/check-store.ts";
import { Secret } from "../../common/log.ts";
import { mib } from "../../common/units.ts";
import { readObject } from "../object-body.ts";
import type { ObjectStore } from "../object-store.ts";
import { testObjectStore } from "../testing/conformance.ts";
import { withRetry } from "../wrappers/retry.ts";
import { startConnectProxy } from "../network/testing/connect-proxy.ts";
import { openS3Store, type S3StoreOptions } from "./s3-store.ts";

const skipped = await reasonToSkip(cephPrograms);

async function open(options: Partial<S3StoreOptions> = {}): Promise<ObjectStore> {
  return openS3Store({ ...access(), bucket: await freshBucket(sharedCephGateway()), ...options });
}

function access(): Pick<S3StoreOptions, "endpoint" | "credentials"> {
  const { endpoint, accessKeyId, secretAccessKey } = sharedCephGateway();
  return { endpoint, credentials: { accessKeyId, secretAccessKey: new Secret(secretAccessKey) } };
}

describe.skipIf(skipped !== undefined)(`the Ceph gateway${leftOut(skipped)}`, () => {
  testObjectStore("S3 (Ceph)", async () => open());
  testObjectStore("S3 (Ceph) below a path, over TLS", async () =>
    open({
      prefix: "some/path",
      endpoint: sharedCephGateway().tlsEndpoint,
      caFile: sharedCephGateway().caFile,
    }),
  );

  describe("S3 (Ceph)", () => {
    test("two stores below different paths of a bucket do not see each other", async () => {
      const bucket = await freshBucket(sharedCephGateway());
      const one = await openS3Store({ ...access(), bucket, prefix: "one" });
      const other = await openS3Store({ ...access(), bucket, prefix: "one-other" });
      await one.put("key", [Buffer.from("one")]);
      await other.put("key", [Buffer.from("other")]);

      expect(one.url).toBe(`s3://${bucket}/one`);
      expect((await Array.fromAsync(one.list(""))).length).toBe(1);
      expect(String(await readObject(one, "key", 100))).toBe("one");
      expect(String(await readObject(other, "key", 100))).toBe("other");
    });

    test("a condition is trusted once the store was seen to honour it", async () => {
      const store = await open();

      expect(store.capabilities.conditionalCreate).toBe(false);
      await store.put("one", [Buffer.from("1")], { ifAbsent: true });
      await store.put("two", [Buffer.from("2")], { ifAbsent: true });
      expect(store.capabilities.conditionalCreate).toBe(true);
      await expect(store.put("two", [Buffer.from("3")], { ifAbsent: true })).rejects.toMatchObject({
        code: "object-exists",
      });
    });

    test("never sends the condition when told so", async () => {
      const store = await open({ conditionalCreate: "never" });

      await store.put("one", [Buffer.from("1")], { ifAbsent: true });
      await expect(store.put("one", [Buffer.from("2")], { ifAbsent: true })).rejects.toMatchObject({
        code: "object-exists",
      });
      expect(store.capabilities.conditionalCreate).toBe(false);
    });

    test("a missing bucket is no empty bucket", async () => {
      const store = await openS3Store({ ...access(), bucket: "no-such-bucket" });
      const missing = {
        code: "store-missing",
        hint: "Create the bucket first; Tidemark does not, because its settings (region, versioning, who may read) are yours.",
      };

      await expect(store.head("x")).rejects.toMatchObject({
        ...missing,
        message: 'could not look at "x" in s3://no-such-bucket: the bucket does not exist',
      });
      await expect(store.get("x")).rejects.toMatchObject(missing);
      await expect(store.put("x", [Buffer.from("x")])).rejects.toMatchObject(missing);
      await expect(store.put("x", [Buffer.from("x")], { ifAbsent: true })).rejects.toMatchObject(missing);
      await expect(store.startUpload("x")).rejects.toMatchObject(missing);
      await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject(missing);
    });

    test("wrong keys are refused with the advice that fits, and without the secret", async () => {
      const wrongSecret = await open({
        credentials: {
          accessKeyId: sharedCephGateway().accessKeyId,
          secretAccessKey: new Secret("not-the-secret"),
        },
      });
      const wrongKey = await open({
        credentials: { accessKeyId: "NOBODY", secretAccessKey: new Secret("not-the-secret") },
      });

      const failure = await wrongSecret.put("x", [Buffer.from("x")]).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: "store-denied",
        retryable: false,
        hint: "The secret key does not belong to this access key: check AWS_SECRET_ACCESS_KEY.",
      });
      expect(JSON.stringify(failure)).not.toContain("not-the-secret");
      await expect(Array.fromAsync(wrongKey.list(""))).rejects.toMatchObject({
        code: "store-denied",
        hint: "The store does not know this access key: check AWS_ACCESS_KEY_ID, and that the endpoint is right.",
      });
      await expect(wrongKey.head("x")).rejects.toMatchObject({ code: "store-denied" });
    });

    test("an unknown certificate is refused, and the hint names the CA file", async () => {
      const store = await open({ endpoint: sharedCephGateway().tlsEndpoint });

      await expect(store.head("x")).rejects.toMatchObject({
        code: "store-unavailable",
        retryable: false,
        hint: "If a private authority signed it, name its certificate as the CA file (caFile, or NODE_EXTRA_CA_CERTS).",
      });
    });

    test("is reached over TLS through a proxy, with the CA file", async () => {
      const proxy = await startConnectProxy();
      const { tlsEndpoint, caFile } = sharedCephGateway();
      const store = await open({ endpoint: tlsEndpoint, caFile, proxy: proxy.url });

      await store.put("x", [Buffer.from("x")], { ifAbsent: true });

      expect(String(await readObject(store, "x", 10))).toBe("x");
      expect(proxy.tunnels.every((target) => target === new URL(tlsEndpoint).host)).toBe(true);
      expect(proxy.tunnels.length).toBeGreaterThan(0);
    });

    test("does what Tidemark needs, by its own check, and is left as it was", async () => {
      const store = await open({ prefix: "some/path" });

      const facts = await checkStore(store, { signal: new AbortController().signal });

      expect(facts.filter(({ verdict }) => verdict !== "ok")).toEqual([]);
      expect(await Array.fromAsync(store.list(""))).toEqual([]);
      expect(await Array.fromAsync(store.abandonedUploads(""))).toEqual([]);
    });

    test("tells a wrong key from a wrong secret when it is checked", async () => {
      const { accessKeyId } = sharedCephGateway();
      const secretAccessKey = new Secret("not-the-secret");
      const { signal } = new AbortController();
      const check = async (key: string) =>
        checkStore(await open({ credentials: { accessKeyId: key, secretAccessKey } }), { signal });

      expect(await check(accessKeyId)).toMatchObject([
        { topic: "reach", verdict: "fail", hint: expect.stringMatching(/^The secret key/) as string },
      ]);
      expect(await check("NOBODY")).toMatchObject([
        {
          topic: "reach",
          verdict: "fail",
          hint: expect.stringMatching(/^The store does not know/) as string,
        },
      ]);
    });

    test("a server that is not there is unavailable, and worth another try", async () => {
      const store = await open({ endpoint: "http://127.0.0.1:9" });

      await expect(store.head("x")).rejects.toMatchObject({
        code: "store-unavailable",
        retryable: true,
        hint: "Nothing listens at http://127.0.0.1:9: check the endpoint, and that the store runs.",
      });
    });

    test("completing an upload whose answer was lost succeeds, also when the key must be free", async () => {
      const store = await open();
      for (const ifAbsent of [false, true]) {
        const key = `lost-${ifAbsent}`;
        const upload = await withRetry(store).startUpload(key, { ifAbsent, partBytes: 5 * mib });
        await upload.writePart(0, [Buffer.alloc(5 * mib, 1)]);
        await upload.writePart(1, [Buffer.alloc(10, 2)]);
        const cut = new AbortController();
        const first = upload.complete({ signal: cut.signal });
        // The request is on its way; the answer will not be read.
        setTimeout(() => cut.abort(), 4);
        await first.catch(() => undefined);

        const info = await upload.complete();

        expect(info).toMatchObject({ sizeBytes: 5 * mib + 10 });
        expect(await store.head(key)).toMatchObject({ sizeBytes: 5 * mib + 10 });
      }
    });

    test("more than a thousand objects are deleted in batches", async () => {
      const store = await open();
      const keys = Array.from({ length: 1203 }, (_, index) => `batch/${index}`);
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map(async (key) => store.put(key, [])));
      }

      await store.delete([...keys, "batch/none"]);

      expect(await Array.fromAsync(store.list(""))).toEqual([]);
    });
  });
});
