/** Answers that a healthy server does not give, and what goes over the wire. */
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { startConnectProxy } from "../network/testing/connect-proxy.ts";
import { readObject } from "../object-body.ts";
import { pattern } from "../testing/conformance/tools.ts";
import { openOnStandIn } from "./testing/open-on-stand-in.ts";
import { withRetry } from "../wrappers/retry.ts";
import { openGcsStore } from "./gcs-store.ts";

test("a signal ends a request that waits for a silent proxy", async () => {
  const server = createServer((socket) => void socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { store } = await openOnStandIn({
    proxy: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });

  for (const signal of [AbortSignal.timeout(50), AbortSignal.abort()]) {
    const writing = store.put("one", [Buffer.from("1")], { signal });
    await expect(writing).rejects.toMatchObject({ code: "aborted" });
  }
});

test("an emulator that is no address is the environment's mistake", async () => {
  vi.stubEnv("STORAGE_EMULATOR_HOST", "ht tp:9:9");
  onTestFinished(() => void vi.unstubAllEnvs());

  await expect(openGcsStore({ bucket: "b" })).rejects.toMatchObject({
    code: "config",
    message: 'STORAGE_EMULATOR_HOST names no server: "ht tp:9:9"',
  });
});

test("a web page that says 404 does not mean that an object is absent", async () => {
  const { store, standIn } = await openOnStandIn();
  // It is seen that the bucket is there.
  expect(await store.head("one")).toBeUndefined();
  standIn.fault = () => ({ kind: "refuse", status: 404, text: "<html>Not found</html>" });

  const expected = { code: "store-unavailable", retryable: true };
  await expect(store.head("one")).rejects.toMatchObject(expected);
  await expect(store.get("one")).rejects.toMatchObject(expected);
});

test("a proxy that wants credentials says so", async () => {
  const proxy = await startConnectProxy("someone:right");
  const { store } = await openOnStandIn({ proxy: proxy.url });

  await expect(store.head("one")).rejects.toMatchObject({
    code: "store-denied",
    message: `could not look at "one" in gs://b: the proxy ${proxy.url} wants credentials (407)`,
    hint: "Name a file with its user:password (proxyCredentialsFile), or write them into HTTPS_PROXY.",
  });
});

const atOnce = { firstDelayMs: 0, maxDelayMs: 0 };

describe("failures of Google's storage become failures of the port", () => {
  test.for([
    { status: 503, reason: "backendError", expected: { code: "store-unavailable", retryable: true } },
    { status: 500, reason: "internalError", expected: { code: "store-unavailable", retryable: true } },
    { status: 502, reason: undefined, expected: { code: "store-unavailable", retryable: true } },
    {
      status: 408,
      reason: "uploadBrokenConnection",
      expected: { code: "store-unavailable", retryable: true },
    },
    { status: 429, reason: "rateLimitExceeded", expected: { code: "store-unavailable", retryable: true } },
    {
      status: 403,
      reason: "userRateLimitExceeded",
      expected: { code: "store-unavailable", retryable: true },
    },
    { status: 403, reason: "forbidden", expected: { code: "store-denied", retryable: false } },
    { status: 401, reason: "authError", expected: { code: "store-denied", retryable: false } },
    { status: 400, reason: "invalid", expected: { code: "store-denied", retryable: false } },
    { status: 403, reason: "somethingNew", expected: { code: "store-denied", retryable: false } },
  ])("$status $reason", async ({ status, reason, expected }) => {
    const { store, standIn } = await openOnStandIn();
    standIn.fault = () => ({
      kind: "refuse",
      status,
      headers: { "retry-after": "1" },
      ...(reason === undefined ? { text: "<html>Bad gateway</html>" } : { reason }),
    });

    await expect(store.put("key", [Buffer.from("x")])).rejects.toMatchObject(expected);
    await expect(store.get("key")).rejects.toMatchObject(expected);
    await expect(store.startUpload("key")).rejects.toMatchObject(expected);
    await expect(store.delete(["key"])).rejects.toMatchObject(expected);
  });

  test("an account without rights, or of another project, is told what it needs", async () => {
    const { store, standIn } = await openOnStandIn();
    standIn.fault = () => ({ kind: "refuse", status: 403, reason: "forbidden" });

    await expect(store.head("wals/x")).rejects.toMatchObject({
      code: "store-denied",
      message: 'could not look at "wals/x" in gs://b: forbidden (403)',
      hint: "Give this account the role Storage Object User (roles/storage.objectUser) on the bucket; where the credentials name a quota project, it must be one that they may use.",
    });
  });

  test("a missing bucket is no empty bucket", async () => {
    const { standIn } = await openOnStandIn();
    const store = await openGcsStore({ bucket: "no-such-bucket", endpoint: standIn.url });
    const missing = {
      code: "store-missing",
      hint: "Create the bucket first; Tidemark does not, because its settings (region, versioning, who may read) are yours.",
    };

    await expect(store.head("x")).rejects.toMatchObject({
      ...missing,
      message: 'could not look at "x" in gs://no-such-bucket: the bucket does not exist',
    });
    await expect(store.get("x")).rejects.toMatchObject(missing);
    await expect(store.put("x", [Buffer.from("x")])).rejects.toMatchObject(missing);
    await expect(store.put("x", [Buffer.from("x")], { ifAbsent: true })).rejects.toMatchObject(missing);
    await expect(store.startUpload("x")).rejects.toMatchObject(missing);
    await expect(store.delete(["x"])).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject(missing);
    await store.close();
  });

  test("that the bucket is there is asked once, when the first object is not", async () => {
    const { store, standIn } = await openOnStandIn();

    for (const key of ["a", "b", "c"]) expect(await store.head(key)).toBeUndefined();

    expect(standIn.requests.map(({ path }) => path)).toEqual([
      "/storage/v1/b/b/o/a",
      "/storage/v1/b/b/o",
      "/storage/v1/b/b/o/b",
      "/storage/v1/b/b/o/c",
    ]);
  });

  test("a busy store is asked again by the wrapper, and by nobody else", async () => {
    const { store, standIn } = await openOnStandIn();
    standIn.fault = () =>
      standIn.requests.length < 3
        ? { kind: "refuse", status: 429, reason: "rateLimitExceeded", headers: { "retry-after": "0" } }
        : undefined;

    await expect(store.put("key", [Buffer.from("x")])).rejects.toMatchObject({ code: "store-unavailable" });
    expect(standIn.requests).toHaveLength(1);
    await withRetry(store, atOnce).put("key", [Buffer.from("x")]);
    expect(standIn.requests).toHaveLength(3);
  });

  test("a server that is not there is unavailable, and worth another try", async () => {
    const store = await openGcsStore({ bucket: "b", endpoint: "http://127.0.0.1:9" });

    await expect(store.head("x")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      hint: "Nothing listens at http://127.0.0.1:9: check the endpoint, and that the store runs.",
    });
  });

  test("a server that speaks no TLS is told from one that is down", async () => {
    const { standIn } = await openOnStandIn();
    vi.stubEnv("STORAGE_EMULATOR_HOST", standIn.url.replace("http:", "https:"));
    onTestFinished(() => void vi.unstubAllEnvs());
    const store = await openGcsStore({ bucket: "b" });

    await expect(store.head("x")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      hint: "If the store is reached by plain HTTP, write the endpoint with http://.",
    });
  });

  test("a signal that fires while a write is on its way ends it with its own reason", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const controller = new AbortController();
    const reason = new EngineError("store-unavailable", "no answer in time");
    standIn.fault = () => {
      controller.abort(reason);
      return undefined;
    };

    const write = store.put("key", [pattern(8_000_000, 1)], { signal: controller.signal });

    await expect(write).rejects.toBe(reason);
    expect(bucket.objects.size).toBe(0);
  });
});

describe("bodies", () => {
  test("a connection cut before the last byte is no end, and the rest is read when it is asked for again", async () => {
    const { store, standIn } = await openOnStandIn();
    const whole = pattern(1_000_000, 1);
    await store.put("key", [whole]);
    let cuts = 0;
    standIn.fault = ({ method }) =>
      method === "GET" && cuts++ < 2 ? { kind: "cut-answer", afterBytes: 100_000 } : undefined;

    await expect(readObject(store, "key", 2_000_000)).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
    });
    expect(whole.equals((await readObject(withRetry(store, atOnce), "key", 2_000_000)) ?? Buffer.of())).toBe(
      true,
    );
    expect(standIn.requests.at(-1)?.headers.range).toBe("bytes=100000-999999");
  });

  test("what was stored with an encoding comes as it lies there", async () => {
    const { store, bucket, standIn } = await openOnStandIn();
    const packed = gzipSync(pattern(10_000, 1));
    bucket.objects.set("key", {
      ...bucket.write("key", packed, { condition: null, checksum: undefined }),
      contentEncoding: "gzip",
    });

    expect(packed.equals((await readObject(store, "key", 20_000)) ?? Buffer.of())).toBe(true);
    expect(standIn.requests.at(-1)?.headers["accept-encoding"]).toBe("gzip");
  });

  test.for([
    ["without a length", { "transfer-encoding": "chunked" }, undefined, "the answer has no length"],
    ["that ignores the range", { "content-length": "5" }, { startByte: 2 }, "the answer has no range"],
  ] as const)("an answer %s is not trusted", async ([, headers, range, words]) => {
    const { store, standIn } = await openOnStandIn();
    standIn.fault = () => ({ kind: "refuse", status: 200, text: "hello", headers });

    await expect(store.get("key", range === undefined ? {} : { range })).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: `could not read "key" in gs://b: ${words}`,
    });
  });
});

describe("lists", () => {
  test.for(["<html>Down for maintenance</html>", '{"message": "hello"}', "[]"])(
    "%s is no empty list",
    async (text) => {
      const { store, standIn } = await openOnStandIn();
      standIn.fault = () => ({ kind: "refuse", status: 200, text });

      await expect(Array.fromAsync(store.list("wals/"))).rejects.toMatchObject({ code: "store-unavailable" });
    },
  );

  test("a server that lists out of order is not relied upon", async () => {
    const { store, standIn } = await openOnStandIn();
    const text = JSON.stringify({ kind: "storage#objects", items: [{ name: "b" }, { name: "a" }] });
    standIn.fault = () => ({ kind: "refuse", status: 200, text });

    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: 'gs://b lists "a" after "b": not in the order of the bytes of their names',
    });
  });
});

describe("content on the way", () => {
  test("is one request with its length and checksum, and condition", async () => {
    const { store, standIn } = await openOnStandIn();

    const info = await store.put("key", [Buffer.from("ab"), Buffer.from("c")], { ifAbsent: true });

    expect(info).toMatchObject({ key: "key", sizeBytes: 3, etag: expect.stringMatching(/^\d+$/) as string });
    expect(standIn.requests).toHaveLength(1);
    const [request] = standIn.requests;
    expect(request?.query.get("ifGenerationMatch")).toBe("0");
    expect(request?.headers).toMatchObject({
      "user-agent": "tidemark",
      "content-length": expect.stringMatching(/^\d+$/) as string,
    });
  });

  test("that is damaged is refused by the store, and sent again", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const whole = pattern(100_000, 1);
    standIn.fault = () => (standIn.requests.length === 1 ? { kind: "damage" } : undefined);

    await withRetry(store, atOnce).put("key", [whole]);

    expect(standIn.requests).toHaveLength(2);
    expect(bucket.objects.get("key")?.content.equals(whole)).toBe(true);
  });

  test("that is damaged is noticed, and removed, where the store does not compare checksums", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    bucket.comparesChecksums = false;
    standIn.fault = () => (standIn.requests.length === 1 ? { kind: "damage" } : undefined);

    await expect(store.put("key", [pattern(100_000, 1)])).rejects.toMatchObject({
      code: "store-unavailable",
      message: expect.stringMatching(
        /^"key" was damaged on its way to gs:\/\/b: it has 100000 bytes with checksum/,
      ) as string,
    });
    expect(bucket.objects.size).toBe(0);
  });
});
