import { describe, expect, test } from "vitest";
import { objectHeaders } from "./object-headers.ts";
import { repositorySettings } from "./repository-settings.ts";
import { refusedS3Settings, requireS3Settings, s3StoreOptions } from "./s3-settings.ts";

describe("settings of an S3 store", () => {
  test("say of each kind of object how it is kept", () => {
    const headersOf = objectHeaders({
      serverSideEncryption: { base: "aws:kms", wal: "AES256" },
      kmsKeyId: "arn:aws:kms:eu-central-1:111122223333:key/1",
      storageClass: { base: "STANDARD_IA" },
    });

    expect(headersOf("pg/base/20261121T090727/data.tar.zst")).toEqual({
      ServerSideEncryption: "aws:kms",
      SSEKMSKeyId: "arn:aws:kms:eu-central-1:111122223333:key/1",
      StorageClass: "STANDARD_IA",
    });
    expect(headersOf("pg/wals/0000000100000000/000000010000000000000001")).toEqual({
      ServerSideEncryption: "AES256",
    });
  });

  test("reach the store as they are, and nothing that was left out", () => {
    const webIdentity = { roleArn: "arn:aws:iam::111122223333:role/backup", tokenFile: "/run/token" };
    const settings = repositorySettings.parse({
      url: "s3://b",
      profile: "ceph",
      webIdentity,
      proxy: "http://proxy:3128",
      storageClass: "COLD",
    });

    const { headersOf, ...options } = s3StoreOptions(settings);

    expect(options).toEqual({ profile: "ceph", webIdentity, proxy: "http://proxy:3128" });
    expect(headersOf?.("pg/base/x")).toEqual({ StorageClass: "COLD" });
  });

  test.each([
    [{ storageClass: "standard ia" }, "write it as the store does"],
    [{ profile: "amazon" }, "expected one of"],
    [{ webIdentity: { roleArn: "x", tokenFile: "y", endpoint: "ftp://z" } }, "Invalid URL"],
  ])("that are none are refused: %o", (settings, words) => {
    const result = repositorySettings.safeParse({ url: "s3://b", ...settings });

    expect(JSON.stringify(result.error?.issues)).toContain(words);
  });
});

describe("what a store does not do", () => {
  test("is refused by the repository's name, before a write is", () => {
    const settings = {
      url: "s3://b",
      endpoint: "https://0a.r2.cloudflarestorage.com",
      historyTags: { kept: "long" },
    };

    expect(() => requireS3Settings("offsite", settings)).toThrow(
      expect.objectContaining({
        code: "config",
        message:
          'repository "offsite" cannot work so: objects get tags, and Cloudflare R2 has none: it refuses every write with them',
        hint: "Leave the tags out for this store.",
      }),
    );
  });

  test("is looked for by what the URL says of the store as well", () => {
    const storageClass = { wal: "STANDARD_IA", base: "GLACIER" };

    const refused = refusedS3Settings({ url: "s3://b?profile=b2", profile: "aws", storageClass });

    expect(refused.map(({ problem }) => problem.split(",")[0])).toEqual([
      'storage class "STANDARD_IA" is none of Backblaze B2',
      'storage class "GLACIER" cannot be read at once: its objects must be asked back first',
    ]);
  });

  test("is nothing for a store of another kind", () => {
    expect(refusedS3Settings({ url: "/srv/backup", storageClass: "GLACIER" })).toEqual([]);
  });
});
