/** Resumable uploads: how they go on when answers are lost, and end. */
import { describe, expect, test } from "vitest";
import { kib } from "../../common/units.ts";
import { pattern } from "../testing/conformance/tools.ts";
import type { StandInFault, StandInRequest } from "../testing/gcs-stand-in.ts";
import { openOnStandIn } from "./testing/open-on-stand-in.ts";
import { withRetry } from "../wrappers/retry.ts";

const unit = 256 * kib;
const atOnce = { firstDelayMs: 0, maxDelayMs: 0 };
const isChunk = ({ method }: StandInRequest): boolean => method === "PUT";
const isLastChunk = ({ headers }: StandInRequest): boolean =>
  /^bytes \d+-\d+\/\d+$/.test(headers["content-range"] ?? "");

/** The fault happens to the first request of this kind, and to no other. */
function once(
  matches: (request: StandInRequest) => boolean,
  fault: StandInFault,
): (request: StandInRequest) => StandInFault | undefined {
  let isDone = false;
  return (request) => {
    if (isDone || !matches(request)) return undefined;
    isDone = true;
    return fault;
  };
}

describe("an upload to Google's storage", () => {
  test.for([
    [1, [1]],
    [unit, [unit]],
    [unit, [unit, unit]],
    [unit, [unit, unit, 1]],
    [unit + 1, [unit + 1, unit + 1, unit]],
    [3 * unit - 1, [3 * unit - 1, 3 * unit - 1, 5]],
    [4 * unit, [4 * unit, 4 * unit, 4 * unit]],
  ] as const)("of parts of %i bytes arrives whole: %j", async ([partBytes, lengths]) => {
    const { store, standIn, bucket } = await openOnStandIn();
    const parts = lengths.map((length, index) => pattern(length, index));
    const upload = await store.startUpload("key", { partBytes: Math.max(partBytes, unit) });

    for (const [index, part] of parts.entries()) {
      await upload.writePart(index, [part.subarray(0, 7), part.subarray(7)]);
      expect(bucket.objects.size).toBe(0);
    }
    const info = await upload.complete();

    expect(info.sizeBytes).toBe(lengths.reduce<number>((sum, length) => sum + length, 0));
    expect(bucket.objects.get("key")?.content.equals(Buffer.concat(parts))).toBe(true);
    expect(standIn.requests.filter(isLastChunk)).toHaveLength(1);
  });

  test.for([
    ["the answer to a chunk", isChunk, { kind: "lose-answer" }],
    ["the connection, in the middle of a chunk", isChunk, { kind: "cut-request", afterBytes: 3 * unit + 5 }],
    ["the connection, before anything of a chunk was kept", isChunk, { kind: "cut-request", afterBytes: 5 }],
    ["the answer to the last chunk", isLastChunk, { kind: "lose-answer" }],
    [
      "the connection, in the middle of the last chunk",
      isLastChunk,
      { kind: "cut-request", afterBytes: 100 },
    ],
    ["a chunk, which the store was too busy for", isChunk, { kind: "refuse", status: 503 }],
  ] as const)("goes on where the store is when it loses %s", async ([, matches, fault]) => {
    for (const ifAbsent of [false, true]) {
      const { store, standIn, bucket } = await openOnStandIn();
      const parts = [pattern(4 * unit, 1), pattern(4 * unit, 2), pattern(1000, 3)];
      standIn.fault = once(matches, fault);
      const upload = await withRetry(store, atOnce).startUpload("key", { partBytes: 4 * unit, ifAbsent });

      for (const [index, part] of parts.entries()) await upload.writePart(index, [part]);
      const info = await upload.complete();

      expect(info).toMatchObject({ key: "key", sizeBytes: 8 * unit + 1000 });
      expect(bucket.objects.get("key")?.content.equals(Buffer.concat(parts))).toBe(true);
      expect(await store.head("key")).toMatchObject({ etag: info.etag });
      // What the store has is not sent again.
      const asked = standIn.requests.filter(({ headers }) =>
        headers["content-range"]?.startsWith("bytes */"),
      );
      expect(asked.length).toBeLessThan(2);
      expect(standIn.requests.filter(isLastChunk).length).toBeLessThan(3);
    }
  });

  test("completed by a try whose answer was lost is complete, also when the store has forgotten it since", async () => {
    for (const ifAbsent of [false, true]) {
      const { store, standIn, bucket } = await openOnStandIn();
      const upload = await store.startUpload("key", { ifAbsent });
      await upload.writePart(0, [pattern(1000, 1)]);
      standIn.fault = once(isLastChunk, { kind: "lose-answer" });

      await expect(upload.complete()).rejects.toMatchObject({ code: "store-unavailable", retryable: true });
      bucket.uploads.clear();

      expect(await upload.complete()).toMatchObject({ sizeBytes: 1000 });
    }
  });

  test("does not take another's object for its own", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const upload = await store.startUpload("key", { ifAbsent: true });
    await upload.writePart(0, [pattern(1000, 1)]);
    standIn.fault = once(isLastChunk, { kind: "refuse", status: 503 });
    await expect(upload.complete()).rejects.toMatchObject({ code: "store-unavailable" });
    await store.put("key", [pattern(1000, 2)]);

    await expect(upload.complete()).rejects.toMatchObject({ code: "object-exists" });

    expect(bucket.objects.get("key")?.content.equals(pattern(1000, 2))).toBe(true);
  });

  test("over a key that is taken in the very last moment is refused by the store", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const upload = await store.startUpload("key", { ifAbsent: true });
    await upload.writePart(0, [pattern(1000, 1)]);
    standIn.fault = (request) => {
      if (isLastChunk(request)) bucket.write("key", pattern(5, 2), { condition: null, checksum: undefined });
      return undefined;
    };

    await expect(upload.complete()).rejects.toMatchObject({ code: "object-exists" });

    expect(bucket.objects.get("key")?.content).toHaveLength(5);
  });

  test("whose bytes are damaged on their way is refused, and nothing is there", async () => {
    for (const comparesChecksums of [true, false]) {
      const { store, standIn, bucket } = await openOnStandIn();
      bucket.comparesChecksums = comparesChecksums;
      const upload = await store.startUpload("key", { partBytes: 2 * unit });
      standIn.fault = once(isChunk, { kind: "damage" });
      for (const index of [0, 1]) await upload.writePart(index, [pattern(2 * unit, index)]);

      await expect(upload.complete()).rejects.toMatchObject({ code: "store-unavailable" });

      expect(bucket.objects.size).toBe(0);
    }
  });

  test("that the store no longer knows cannot go on, and says so", async () => {
    const { store, bucket } = await openOnStandIn();
    const upload = await store.startUpload("key", { partBytes: 2 * unit });
    bucket.uploads.clear();

    await expect(upload.writePart(0, [pattern(2 * unit, 1)])).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: 'could not write "key" in gs://b: the store no longer knows the upload',
      hint: "Run the same command again; an upload is forgotten when it is cancelled, and after a week.",
    });
    await upload.abort();
  });

  test("is dropped at the store when it is aborted", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const upload = await store.startUpload("key", { partBytes: 2 * unit });
    await upload.writePart(0, [pattern(2 * unit, 1)]);
    expect(bucket.uploads.size).toBe(1);

    await upload.abort();

    expect(bucket.uploads.size).toBe(0);
    expect(standIn.requests.at(-1)?.method).toBe("DELETE");
  });

  test("is sent to our endpoint, whatever address the server gives itself", async () => {
    const { store, standIn, bucket } = await openOnStandIn();
    const location = "http://elsewhere.invalid:1/upload/storage/v1/b/b/o?uploadType=resumable&upload_id=one";
    bucket.uploads.set("one", { name: "key", condition: null, content: Buffer.alloc(0) });
    standIn.fault = once(({ method }) => method === "POST", {
      kind: "refuse",
      status: 200,
      headers: { location },
    });

    const upload = await store.startUpload("key");
    await upload.writePart(0, [Buffer.from("x")]);
    await upload.complete();

    expect(bucket.objects.get("key")?.content.toString()).toBe("x");
  });
});
