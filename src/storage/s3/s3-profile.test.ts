import { describe, expect, test } from "vitest";
import { mib } from "../../common/units.ts";
import { chooseS3Profile } from "./s3-profile.ts";
import type { ObjectHeaders } from "./s3-objects.ts";
import type { S3StoreOptions } from "./s3-store.ts";
import { refusedWishes, type S3Wishes } from "./s3-wishes.ts";
import { scriptedStore } from "./testing/scripted-s3.ts";
import { SmallS3 } from "./testing/small-s3.ts";

describe("the profile of an endpoint", () => {
  test.each([
    [undefined, "Amazon S3", undefined],
    ["https://s3.eu-central-1.amazonaws.com", "Amazon S3", "eu-central-1"],
    ["https://s3.dualstack.us-gov-west-1.amazonaws.com", "Amazon S3", "us-gov-west-1"],
    ["https://s3.cn-north-1.amazonaws.com.cn", "Amazon S3", "cn-north-1"],
    ["https://s3.amazonaws.com", "Amazon S3", undefined],
    ["https://0a1b.r2.cloudflarestorage.com", "Cloudflare R2", "auto"],
    ["https://0a1b.eu.r2.cloudflarestorage.com", "Cloudflare R2", "auto"],
    ["https://s3.us-west-004.backblazeb2.com", "Backblaze B2", "us-west-004"],
    ["https://storage.googleapis.com", "Google Cloud Storage's S3 door", "auto"],
    ["https://fra1.digitaloceanspaces.com", "DigitalOcean Spaces", "fra1"],
    ["https://s3.eu-central-2.wasabisys.com", "Wasabi", "eu-central-2"],
    ["https://s3.wasabisys.com", "Wasabi", undefined],
    ["https://nbg1.your-objectstorage.com", "Hetzner Object Storage", "nbg1"],
    ["https://s3.fr-par.scw.cloud", "Scaleway Object Storage", "fr-par"],
    ["https://s3.gra.io.cloud.ovh.net", "OVHcloud Object Storage", "gra"],
    ["http://127.0.0.1:9000", "an S3 server", undefined],
    ["https://r2.cloudflarestorage.com.example.org", "an S3 server", undefined],
    ["https://notdigitaloceanspaces.com", "an S3 server", undefined],
  ])("%s is %s, in region %s", (endpoint, title, region) => {
    expect(chooseS3Profile(endpoint, undefined)).toMatchObject({ title });
    expect(chooseS3Profile(endpoint, undefined).region).toBe(region);
  });

  test("that is named wins over the address", () => {
    expect(chooseS3Profile("https://store.example.org", "b2")).toMatchObject({
      title: "Backblaze B2",
      conditionalCreate: "never",
    });
  });
});

describe("what a store does not do", () => {
  const nothing: S3Wishes = { objectTags: false, encryption: [], kmsKeyId: undefined, storageClasses: [] };
  const problems = (name: Parameters<typeof chooseS3Profile>[1], wishes: Partial<S3Wishes>) =>
    refusedWishes(chooseS3Profile("https://store.example", name), { ...nothing, ...wishes });

  test.each([
    [
      "r2",
      { objectTags: true },
      "objects get tags, and Cloudflare R2 has none: it refuses every write with them",
    ],
    [
      "b2",
      { objectTags: true },
      "objects get tags, and Backblaze B2 has none: it refuses every write with them",
    ],
    [
      "r2",
      { encryption: ["aws:kms"] },
      "encryption with aws:kms is asked for, and Cloudflare R2 does not take it by request",
    ],
    ["b2", { storageClasses: ["STANDARD_IA"] }, 'storage class "STANDARD_IA" is none of Backblaze B2'],
    [
      "aws",
      { kmsKeyId: "key", encryption: ["AES256"] },
      "a KMS key is named, and nothing is encrypted with aws:kms",
    ],
    [
      undefined,
      { storageClasses: ["GLACIER"] },
      'storage class "GLACIER" cannot be read at once: its objects must be asked back first, for hours',
    ],
    [
      "aws",
      { storageClasses: ["DEEP_ARCHIVE"] },
      'storage class "DEEP_ARCHIVE" cannot be read at once: its objects must be asked back first, for hours',
    ],
  ] as const)("is said of %s when it is asked for %o", (name, wishes, problem) => {
    expect(problems(name, wishes).map((refused) => refused.problem)).toEqual([problem]);
  });

  test.each([
    ["r2", { encryption: ["AES256"], storageClasses: ["STANDARD_IA"] }],
    ["b2", { encryption: ["AES256"] }],
    ["aws", { objectTags: true, encryption: ["aws:kms"], kmsKeyId: "key", storageClasses: ["GLACIER_IR"] }],
    [undefined, { objectTags: true, storageClasses: ["CHEAP_AND_COLD"] }],
  ] as const)("is not said of %s for %o", (name, wishes) => {
    expect(problems(name, wishes)).toEqual([]);
  });
});

describe("the requests of a profile", () => {
  async function open(options: Partial<S3StoreOptions>) {
    const small = new SmallS3({ condition: "refused" });
    const store = await scriptedStore(small.script, options);
    const lines = () =>
      small.requests.map(({ method, url, headers }) => {
        const { pathname, searchParams } = new URL(url, "http://x");
        const what = [...searchParams.keys()].find((name) => ["delete", "uploads"].includes(name)) ?? "";
        return `${method} ${pathname}${what === "" ? "" : `?${what}`}${headers["if-none-match"] === undefined ? "" : " *"}`;
      });
    return { store, small, lines };
  }
  const region = ({ requests }: SmallS3) =>
    /Credential=[^/]+\/\d+\/([^/]+)\//.exec(requests[0]?.headers.authorization ?? "")?.[1];

  test("B2: the condition is never sent, since it refuses the header", async () => {
    const { store, lines } = await open({ profile: "b2" });

    await store.put("one", [Buffer.from("1")], { ifAbsent: true });
    await expect(store.put("one", [Buffer.from("2")], { ifAbsent: true })).rejects.toMatchObject({
      code: "object-exists",
    });

    expect(lines()).toEqual(["HEAD /b/one", "GET /b/one", "PUT /b/one", "HEAD /b/one"]);
    expect(store.capabilities).toMatchObject({ conditionalCreate: false, maker: "Backblaze B2" });
  });

  test("R2: requests are signed for auto, and encryption is not asked for, since it is always there", async () => {
    const headersOf = (): ObjectHeaders => ({ ServerSideEncryption: "AES256" });
    const { store, small } = await open({ profile: "r2", headersOf });

    await store.put("one", [Buffer.from("1")]);

    expect(region(small)).toBe("auto");
    const names = Object.keys(small.requests[0]?.headers ?? {});
    expect(names.filter((name) => /encryption|tagging|acl|checksum|trailer/.test(name))).toEqual([]);
    expect(store.capabilities).toMatchObject({ encryptsAlways: true });
  });

  test("R2: the parts of an upload are of one size but for the last", async () => {
    const { store, small } = await open({ profile: "r2" });
    const upload = await store.startUpload("large", { partBytes: 5 * mib });
    await upload.writePart(0, [Buffer.alloc(5 * mib)]);
    await upload.writePart(1, [Buffer.alloc(5 * mib)]);
    await upload.writePart(2, [Buffer.alloc(10)]);
    await upload.complete();

    const sizes = small.requests.flatMap(({ url, bytes }) =>
      url.includes("partNumber") ? [bytes.length] : [],
    );
    expect(sizes).toEqual([5 * mib, 5 * mib, 10]);
  });

  test("a region that is given wins over the endpoint's", async () => {
    const { store, small } = await open({ profile: "r2", region: "us-east-1" });

    await store.head("one");

    expect(region(small)).toBe("us-east-1");
  });

  test("Google's S3 door: objects are deleted one by one, without asking for more first", async () => {
    const { store, lines } = await open({ profile: "gcs" });

    await store.delete(["a", "b"]);

    expect(lines().toSorted()).toEqual(["DELETE /b/a", "DELETE /b/b"]);
  });

  test("Scaleway: an upload has at most a thousand parts", async () => {
    const { store } = await open({ profile: "scaleway" });
    const upload = await store.startUpload("large", { partBytes: 5 * mib });

    expect(store.capabilities.maxParts).toBe(1000);
    await expect(upload.writePart(1000, [Buffer.alloc(1)])).rejects.toMatchObject({ code: "usage" });
  });

  test("a server that is not known is asked as before", async () => {
    const { store, lines, small } = await open({});

    await store.put("one", [Buffer.from("1")], { ifAbsent: true });
    await store.delete(["a", "b"]);

    expect(lines()).toEqual(["HEAD /b/one", "GET /b/one", "PUT /b/one *", "PUT /b/one", "POST /b/?delete"]);
    expect(region(small)).toBe("us-east-1");
  });
});

test("a class and a key of the settings are sent with what is written, in whole and in parts", async () => {
  const small = new SmallS3();
  const headersOf = (): ObjectHeaders => ({
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: "key-1",
    StorageClass: "STANDARD_IA",
  });
  const store = await scriptedStore(small.script, { headersOf });

  await store.put("one", [Buffer.from("1")]);
  await (await store.startUpload("two")).abort();

  const asked = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    "x-amz-storage-class": "STANDARD_IA",
  };
  expect(small.requests.slice(0, 2).map(({ headers }) => headers)).toMatchObject([asked, asked]);
  expect((await store.head("one"))?.storedAs).toEqual({ encryption: "aws:kms", storageClass: "STANDARD_IA" });
});
