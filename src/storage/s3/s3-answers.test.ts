/**
 * Answers that a healthy server does not give: a scripted HTTP server sends them over a real socket. It is no S3; what a
 * whole server does is proven on Ceph, in `s3-store.peer.test.ts`.
 */
import type { IncomingMessage } from "node:http";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Secret } from "../../common/log.ts";
import { readObject } from "../object-body.ts";
import { openS3Store } from "./s3-store.ts";
import { scriptedStore as scripted } from "./testing/scripted-s3.ts";

test("credentials with a line break are the configuration's mistake", async () => {
  const credentials = { accessKeyId: "key\n", secretAccessKey: new Secret("geheim") };
  const store = await scripted(() => ({}), { credentials });

  await expect(store.head("one")).rejects.toMatchObject({
    code: "config",
    retryable: false,
    message: 'could not look at "one" in s3://b: the credentials hold a character that cannot be sent',
  });
});

test.each([
  [undefined, "no region is set"],
  ["eu central", "the region is no name of one"],
])("the region %s is the configuration's mistake, and is not tried again", async (region, problem) => {
  for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"]) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_CONFIG_FILE", "/nonexistent");
  onTestFinished(() => void vi.unstubAllEnvs());
  const credentials = { accessKeyId: "key", secretAccessKey: new Secret("geheim") };
  const store = await openS3Store({ bucket: "b", credentials, ...(region === undefined ? {} : { region }) });
  onTestFinished(async () => store.close());

  await expect(store.head("one")).rejects.toMatchObject({
    code: "config",
    retryable: false,
    message: `could not look at "one" in s3://b: ${problem}`,
  });
});

describe("failures of S3 become failures of the port", () => {
  test.for([
    { status: 503, code: "SlowDown", expected: { code: "store-unavailable", retryable: true } },
    { status: 500, code: "InternalError", expected: { code: "store-unavailable", retryable: true } },
    { status: 429, code: "TooManyRequests", expected: { code: "store-unavailable", retryable: true } },
    { status: 400, code: "RequestTimeout", expected: { code: "store-unavailable", retryable: true } },
    { status: 400, code: "BadDigest", expected: { code: "store-unavailable", retryable: true } },
    { status: 409, code: "OperationAborted", expected: { code: "store-unavailable", retryable: true } },
    { status: 502, code: undefined, expected: { code: "store-unavailable", retryable: true } },
    { status: 404, code: "NoSuchBucket", expected: { code: "store-missing", retryable: false } },
    { status: 403, code: "AccessDenied", expected: { code: "store-denied", retryable: false } },
    { status: 403, code: "SomethingNew", expected: { code: "store-denied", retryable: false } },
    { status: 400, code: "ExpiredToken", expected: { code: "store-denied", retryable: false } },
    { status: 400, code: "EntityTooLarge", expected: { code: "store-denied", retryable: false } },
  ])("$status $code", async ({ status, code, expected }) => {
    const store = await scripted(() => ({ status, ...(code === undefined ? { body: "<html>" } : { code }) }));

    await expect(store.put("key", [Buffer.from("x")])).rejects.toMatchObject(expected);
    await expect(store.get("key")).rejects.toMatchObject(expected);
  });

  test("a wrong clock is named as such", async () => {
    const store = await scripted(() => ({ status: 403, code: "RequestTimeTooSkewed" }));

    await expect(store.get("key")).rejects.toMatchObject({
      code: "store-denied",
      message: 'could not read "key" in s3://b: RequestTimeTooSkewed (403)',
      hint: "The clock of this machine and that of the store differ too much: synchronise it (NTP).",
    });
  });

  test("a refused wish is told from a refused asker", async () => {
    const store = await scripted(() => ({ status: 400, code: "InvalidRequest" }));

    await expect(store.put("key", [Buffer.from("x")])).rejects.toMatchObject({
      code: "store-denied",
      hint: expect.stringContaining("or takes it over TLS") as string,
    });
  });

  test("a bucket in another region is named with its region", async () => {
    const headers = { "x-amz-bucket-region": "eu-central-1" };
    const store = await scripted(() => ({ status: 301, code: "PermanentRedirect", headers }));

    await expect(store.get("key")).rejects.toMatchObject({
      code: "store-denied",
      message: 'could not read "key" in s3://b: the bucket is in another region',
      hint: "Set the region to eu-central-1.",
    });
  });

  test("a server that speaks no TLS is told from one that is down", async () => {
    const store = await scripted(() => ({}), { scheme: "https" });

    await expect(store.head("key")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      hint: "If the store is reached by plain HTTP, write the endpoint with http://.",
    });
  });
});

describe("bodies", () => {
  test("a connection cut before the last byte is no end", async () => {
    const store = await scripted(() => ({
      headers: { "content-length": "100" },
      body: "only this",
      cut: true,
    }));

    await expect(readObject(store, "key", 1000)).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
    });
  });

  test("an answer without a length is not trusted", async () => {
    const store = await scripted(() => ({ headers: { "transfer-encoding": "chunked" }, body: "x" }));

    await expect(store.get("key")).rejects.toMatchObject({ code: "store-unavailable", retryable: false });
  });

  test("a server that ignores the range is noticed", async () => {
    const store = await scripted(() => ({ headers: { "content-length": "5" }, body: "hello" }));

    await expect(store.get("key", { range: { startByte: 2 } })).rejects.toMatchObject({
      code: "store-unavailable",
    });
  });
});

describe("If-None-Match", () => {
  test("a server that refuses the header is written to without it, after a look", async () => {
    const seen: string[] = [];
    const store = await scripted(({ method, headers }) => {
      seen.push(`${method} ${headers["if-none-match"] ?? "-"}`);
      if (method === "HEAD") return { status: 404 };
      if (method === "GET") return { status: 404, code: "NoSuchKey" };
      return headers["if-none-match"] === undefined
        ? { headers: { etag: '"e"' } }
        : { status: 501, code: "NotImplemented" };
    });

    await store.put("one", [Buffer.from("1")], { ifAbsent: true });
    await store.put("two", [Buffer.from("2")], { ifAbsent: true });

    expect(seen).toEqual(["HEAD -", "GET -", "PUT *", "PUT -", "HEAD -", "PUT -"]);
    expect(store.capabilities.conditionalCreate).toBe(false);
  });

  test("a server that ignores the header is found out with bytes that do no harm", async () => {
    const objects = new Map<string, string>();
    const seen: string[] = [];
    const store = await scripted(({ method, url, headers, body }) => {
      const path = new URL(url, "http://x").pathname;
      seen.push(`${method} ${path} ${headers["if-none-match"] ?? "-"}`);
      if (method !== "PUT")
        return objects.has(path)
          ? { headers: { "content-length": "1" } }
          : { status: 404, code: "NoSuchKey" };
      objects.set(path, body);
      return { headers: { etag: '"e"' } };
    });

    await store.put("one", [Buffer.from("1")], { ifAbsent: true });
    await store.put("two", [Buffer.from("2")], { ifAbsent: true });
    await store.put("three", [Buffer.from("3")], { ifAbsent: true });
    const taken = store.put("one", [Buffer.from("x")], { ifAbsent: true });

    await expect(taken).rejects.toMatchObject({ code: "object-exists" });
    expect(seen.filter((line) => line.startsWith("PUT"))).toEqual([
      "PUT /b/one *",
      "PUT /b/two *",
      "PUT /b/two *",
      "PUT /b/three -",
    ]);
    expect([...objects.values()]).toEqual(["1", "2", "3"]);
    expect(store.capabilities.conditionalCreate).toBe(false);
  });
});

describe("content on the way", () => {
  test("is signed over plain HTTP, in one request, with its length and no SDK checksum", async () => {
    const requests: IncomingMessage["headers"][] = [];
    const store = await scripted(({ headers }) => {
      requests.push(headers);
      return { headers: { etag: '"e"', date: "Sat, 21 Nov 2026 12:00:00 GMT" } };
    });

    const info = await store.put("key", [Buffer.from("ab"), Buffer.from("c")]);

    expect(info).toEqual({
      key: "key",
      sizeBytes: 3,
      etag: "e",
      modifiedAt: new Date("2026-11-21T12:00:00Z"),
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      "content-length": "3",
      "x-amz-content-sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    expect(Object.keys(requests[0] ?? {}).filter((name) => /checksum|crc|expect|trailer/.test(name))).toEqual(
      [],
    );
    expect(requests[0]?.["user-agent"]).toContain("tidemark");
  });
});

describe("delete", () => {
  test("falls back to single requests where batches are not known", async () => {
    const seen: string[] = [];
    const store = await scripted(({ method, url }) => {
      seen.push(`${method} ${url.split("?")[0]}`);
      return method === "POST"
        ? { status: 400, code: "MissingContentMD5" }
        : { status: url.includes("gone") ? 404 : 204 };
    });

    await store.delete(["a", "gone"]);
    await store.delete(["c", "d"]);

    expect(seen.sort()).toEqual(["DELETE /b/a", "DELETE /b/c", "DELETE /b/d", "DELETE /b/gone", "POST /b/"]);
  });

  test("a refusal for one of many keys is a failure that names it", async () => {
    const body = `<?xml version="1.0"?><DeleteResult><Error><Key>x/y</Key><Code>AccessDenied</Code></Error></DeleteResult>`;
    const store = await scripted(() => ({ body }));

    await expect(store.delete(["x/y", "z"])).rejects.toMatchObject({
      code: "store-denied",
      message: 'could not delete "x/y" in s3://b: AccessDenied',
    });
  });
});

describe("lists", () => {
  test("a server that lists out of order is not relied upon", async () => {
    const contents = ["b", "a"].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join("");
    const body = `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`;
    const store = await scripted(() => ({ body }));

    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: 's3://b lists "a" after "b": not in the order of S3',
    });
  });
});

describe("a listing", () => {
  test("that stops in its midst is no short list", async () => {
    const store = await scripted(() => ({
      body: "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>",
    }));

    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject({
      code: "store-unavailable",
      message: expect.stringContaining("not how to go on") as string,
    });
  });

  test("that is a proxy's web page is no empty list", async () => {
    const store = await scripted(() => ({ body: "<html><body><p>Down for maintenance</p></body></html>" }));

    await expect(Array.fromAsync(store.list("wals/"))).rejects.toMatchObject({
      code: "store-unavailable",
      message: 'could not list "wals/" in s3://b: the answer is no list',
    });
  });
});
