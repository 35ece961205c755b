import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock, type Clock } from "../common/clock.ts";
import { mib } from "../common/units.ts";
import { openOnStandIn } from "../storage/gcs/testing/open-on-stand-in.ts";
import type { ObjectHeaders } from "../storage/s3/s3-objects.ts";
import type { S3StoreOptions } from "../storage/s3/s3-store.ts";
import { scriptedStore, type ScriptedRequest } from "../storage/s3/testing/scripted-s3.ts";
import { SmallS3, type SmallS3Quirks } from "../storage/s3/testing/small-s3.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { interceptStore } from "../storage/wrappers/intercept.ts";
import { checkStore } from "./check-store.ts";

/** The facts of a small S3 in order, without the speed, and what is left in it. */
async function checkSmall(
  quirks: SmallS3Quirks = {},
  options: Partial<S3StoreOptions> & { readonly asked?: (key: string) => ObjectHeaders } = {},
) {
  const { asked, ...storeOptions } = options;
  const small = new SmallS3(quirks);
  small.objects.set("someone/else", { bytes: Buffer.from("x"), headers: {} });
  const store = await scriptedStore(small.script, {
    ...storeOptions,
    ...(asked === undefined ? {} : { headersOf: asked }),
  });
  const { signal } = new AbortController();
  const facts = await checkStore(store, {
    signal,
    clock,
    sampleBytes,
    ...(asked === undefined ? {} : { asked }),
  });
  const found = (topic: string) => facts.find((fact) => fact.topic === topic);
  return { facts, found, small, left: [...small.objects.keys()], uploads: small.uploads.size };
}

/** One that stands still while things take their time: a busy machine is no slow store. */
const clock: Clock = { ...systemClock, monotonicMs: () => 0 };
const sampleBytes = 1024;
const topics = ["reach", "write", "clock", "condition", "list", "range", "multipart", "delete", "speed"];

describe("checking a store", () => {
  test("finds nothing to say of a directory, and leaves nothing in it", async () => {
    const store = await temporaryStore();

    const facts = await checkStore(store, { signal: new AbortController().signal, clock, sampleBytes });

    expect(facts.map(({ topic, verdict }) => [topic, verdict])).toEqual(topics.map((topic) => [topic, "ok"]));
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  test("finds nothing to say of a bucket that does what S3 does, and touches nobody else's objects", async () => {
    const { facts, left, uploads, small } = await checkSmall();

    expect(facts.map(({ topic, verdict }) => [topic, verdict])).toEqual(topics.map((topic) => [topic, "ok"]));
    expect({ left, uploads }).toEqual({ left: ["someone/else"], uploads: 0 });
    const written = small.requests.filter(({ method }) => method === "PUT" || method === "DELETE");
    expect(written.every(({ url }) => url.startsWith("/b/tidemark-check-"))).toBe(true);
  });

  test("finds nothing to say of a bucket of Google's, which forgets what is left of uploads by itself", async () => {
    const { store, bucket } = await openOnStandIn();

    const facts = await checkStore(store, { signal: new AbortController().signal, clock, sampleBytes });

    expect(facts.map(({ topic, verdict }) => [topic, verdict])).toEqual(topics.map((topic) => [topic, "ok"]));
    expect(facts[0]?.text).toContain("Google Cloud Storage");
    expect(bucket.objects.size).toBe(0);
  });

  test.each(["ignored", "refused"] as const)(
    "says what it means that the condition of a write is %s",
    async (condition) => {
      const { found, left } = await checkSmall({ condition });

      expect(found("condition")).toMatchObject({
        verdict: "warn",
        text: 'the store does not know "write only what is not there yet"',
        consequence: expect.stringContaining("looks before it writes") as string,
        hint: "Never let two servers archive under one server name.",
      });
      expect(left).toEqual(["someone/else"]);
    },
  );

  test("a store that ignores the condition and was said to honour it fails", async () => {
    const { found } = await checkSmall({ condition: "ignored" }, { conditionalCreate: "always" });

    expect(found("condition")).toMatchObject({
      verdict: "fail",
      code: "store-unfit",
      text: "a write that must not replace anything has replaced an object",
    });
  });

  test("names beyond ASCII in another order are a warning, since Tidemark has none", async () => {
    const { found } = await checkSmall({ listOrder: "utf-16" });

    expect(found("list")).toMatchObject({ verdict: "warn", consequence: "Tidemark's own names are ASCII" });
  });

  test("lists that do not begin where they are told fail", async () => {
    const { found } = await checkSmall({ ignoresStartAfter: true });

    expect(found("list")).toMatchObject({
      verdict: "fail",
      code: "store-unfit",
      text: "a list does not begin where it is told",
    });
  });

  test.each([
    [20 * 60_000, "fail", /^the store's clock is (20|19) min \d+ s ahead of this machine's: signed requests/],
    [-5 * 60_000, "warn", /^the store's clock is (5|4) min \d+ s behind this machine's$/],
    [10_000, "ok", /agree$/],
  ] as const)("clocks that are %i ms apart: %s", async (clockAheadMs, verdict, text) => {
    const { found } = await checkSmall({ clockAheadMs });

    expect(found("clock")).toMatchObject({ verdict, text: expect.stringMatching(text) as string });
  });

  test("versions that stay after a deletion are pointed out", async () => {
    const { found } = await checkSmall({ keepsVersions: true });

    expect(found("delete")).toMatchObject({
      verdict: "warn",
      text: expect.stringContaining("keeps versions") as string,
      hint: expect.stringContaining("lifecycle") as string,
    });
  });

  test("what is known of the maker is said too, but not what was found out already", async () => {
    const hidden = await checkSmall({ keepsVersions: true }, { profile: "b2" });
    const kept = await checkSmall({}, { profile: "b2" });
    const equal = await checkSmall({}, { profile: "r2" });
    const warnings = ({ facts }: typeof kept) => facts.filter(({ verdict }) => verdict === "warn");

    expect(warnings(hidden).map(({ topic }) => topic)).toEqual(["condition", "delete"]);
    expect(warnings(kept).at(-1)).toMatchObject({
      topic: "delete",
      hint: expect.stringContaining("Keep only the last version") as string,
    });
    expect(equal.facts.at(-1)).toMatchObject({ topic: "multipart", verdict: "ok" });
  });

  test("unfinished uploads that cannot be found are pointed out", async () => {
    const { found } = await checkSmall({ hidesUploads: true });

    expect(found("multipart")).toMatchObject({
      verdict: "warn",
      hint: "Give the bucket a lifecycle rule that ends unfinished uploads after some days.",
    });
  });

  test("objects that stay where they were deleted fail, and the check says what it leaves", async () => {
    const { found } = await checkSmall({ keepsDeleted: true });

    expect(found("delete")).toMatchObject({ verdict: "fail", code: "store-unfit" });
  });

  test("without a right to look, nothing else is tried", async () => {
    const { facts, small } = await checkSmall({
      before: () => ({ status: 403, code: "InvalidAccessKeyId" }),
    });

    expect(facts).toMatchObject([
      {
        topic: "reach",
        verdict: "fail",
        code: "store-denied",
        hint: expect.stringContaining("does not know this access key") as string,
      },
    ]);
    expect(small.requests.length).toBeLessThan(3);
  });

  test("without a right to write, what could be written is not tried", async () => {
    const { facts } = await checkSmall({
      before: ({ method }) => (method === "PUT" ? { status: 403, code: "AccessDenied" } : undefined),
    });

    expect(facts.map(({ topic, verdict }) => [topic, verdict])).toEqual([
      ["reach", "ok"],
      ["write", "fail"],
    ]);
  });
});

describe("what settings ask of the store", () => {
  const asked = (key: string): ObjectHeaders =>
    /\/base\//.test(key)
      ? { ServerSideEncryption: "AES256", StorageClass: "STANDARD_IA" }
      : { Tagging: "team=data" };

  test("is tried for each kind of object, and looked for afterwards", async () => {
    const { facts } = await checkSmall({}, { asked });

    expect(facts.filter(({ topic }) => topic === "settings").map(({ text }) => text)).toEqual([
      "base backups: the store takes encryption with AES256, storage class STANDARD_IA",
      "WAL: the store takes tags",
      "history files: the store takes tags",
    ]);
  });

  test("and is passed over in silence is noticed", async () => {
    const isBase = ({ method, url }: ScriptedRequest) => method === "HEAD" && url.includes("/base/");
    const before = (request: ScriptedRequest) =>
      isBase(request)
        ? { headers: { "content-length": "8", "x-amz-storage-class": "STANDARD_IA" } }
        : undefined;

    const { facts } = await checkSmall({ before }, { asked });

    expect(facts.find(({ text }) => text.startsWith("base backups"))).toMatchObject({
      verdict: "warn",
      text: expect.stringContaining("does not say that the object is encrypted") as string,
    });
  });
});

test("whoever stops a check finds nothing of it in the store", async () => {
  const small = new SmallS3();
  const stop = new AbortController();
  const store = await scriptedStore((request) => {
    if (request.url.includes("partNumber=")) stop.abort();
    return small.script(request);
  });
  onTestFinished(() => stop.abort());

  await expect(checkStore(store, { signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });

  expect([...small.objects.keys(), ...small.uploads.keys()]).toEqual([]);
});

test("a store on which a segment takes long is pointed out", async () => {
  let elapsedMs = 0;
  const inner = await temporaryStore();
  const store = interceptStore(inner, {
    call: async ({ operation }, options, run) => {
      if (operation === "put" || operation === "get") elapsedMs += 700;
      return run(options);
    },
  });
  const slow: Clock = { ...systemClock, monotonicMs: () => elapsedMs };
  const { signal } = new AbortController();

  const facts = await checkStore(store, { signal, clock: slow, sampleBytes: mib });

  expect(facts.find(({ topic }) => topic === "speed")).toMatchObject({
    verdict: "warn",
    text: "a small object is written in 700 ms and read in 700 ms; one connection writes 1.4 MiB/s and reads 1.4 MiB/s",
    consequence: "a WAL segment of 16 MiB takes 11.2 s before compression, and several go at once",
  });
});
