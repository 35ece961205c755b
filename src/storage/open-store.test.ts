import { describe, expect, test } from "vitest";
import { openStore, parseStoreUrl } from "./open-store.ts";
import { temporaryStore } from "./testing/temporary-store.ts";

const azureForms =
  "Write https://ACCOUNT.blob.core.windows.net/CONTAINER/path, azure://ACCOUNT/CONTAINER/path, or, of an emulator, http://HOST:PORT/ACCOUNT/CONTAINER/path. A bucket of another provider is s3://BUCKET/path?endpoint=https://HOST.";

describe("store URLs", () => {
  test.for([
    ["/srv/backup", { kind: "file", root: "/srv/backup" }],
    ["backup", { kind: "file", root: "backup" }],
    ["file:///srv/my%20backup", { kind: "file", root: "/srv/my backup" }],
    ["s3://bucket", { kind: "s3", options: { bucket: "bucket", prefix: "" } }],
    ["s3://bucket/", { kind: "s3", options: { bucket: "bucket", prefix: "" } }],
    ["s3://my.bucket/some/path/", { kind: "s3", options: { bucket: "my.bucket", prefix: "some/path" } }],
    ["gs://bucket", { kind: "gcs", options: { bucket: "bucket", prefix: "" } }],
    [
      "gs://my_bucket/some%20path/?endpoint=https://storage-x.p.googleapis.com/&part-size=1MiB&ca-file=/ca.pem",
      {
        kind: "gcs",
        options: {
          bucket: "my_bucket",
          prefix: "some path",
          endpoint: "https://storage-x.p.googleapis.com",
          partBytes: 1_048_576,
          caFile: "/ca.pem",
        },
      },
    ],
    [
      "s3://b/p?endpoint=http://127.0.0.1:9000/&region=auto&path-style=false&part-size=32MiB&ca-file=/ca.pem&conditional-create=never",
      {
        kind: "s3",
        options: {
          bucket: "b",
          prefix: "p",
          endpoint: "http://127.0.0.1:9000",
          region: "auto",
          pathStyle: false,
          partBytes: 33_554_432,
          caFile: "/ca.pem",
          conditionalCreate: "never",
        },
      },
    ],
    [
      "s3://b?profile=r2&aws-profile=offsite&proxy=http://proxy:3128",
      {
        kind: "s3",
        options: {
          bucket: "b",
          prefix: "",
          profile: "r2",
          awsProfile: "offsite",
          proxy: "http://proxy:3128",
        },
      },
    ],
    [
      "https://acct1.blob.core.windows.net/backups/pg/main/",
      { kind: "azure", options: { account: "acct1", container: "backups", prefix: "pg/main" } },
    ],
    [
      "azure://acct1/backups",
      { kind: "azure", options: { account: "acct1", container: "backups", prefix: "" } },
    ],
    [
      "https://acct1.blob.core.chinacloudapi.cn/backups/a%20b",
      {
        kind: "azure",
        options: {
          account: "acct1",
          container: "backups",
          prefix: "a b",
          endpoint: "https://acct1.blob.core.chinacloudapi.cn",
        },
      },
    ],
    [
      "https://acct1.privatelink.blob.core.windows.net/backups/p",
      {
        kind: "azure",
        options: {
          account: "acct1",
          container: "backups",
          prefix: "p",
          endpoint: "https://acct1.privatelink.blob.core.windows.net",
        },
      },
    ],
    [
      "http://127.0.0.1:10000/devstoreaccount1/backups/pg",
      {
        kind: "azure",
        options: {
          account: "devstoreaccount1",
          container: "backups",
          prefix: "pg",
          endpoint: "http://127.0.0.1:10000/devstoreaccount1",
        },
      },
    ],
    [
      "http://azurite/acct1/backups",
      {
        kind: "azure",
        options: { account: "acct1", container: "backups", prefix: "", endpoint: "http://azurite/acct1" },
      },
    ],
    [
      "azure://acct1/backups/p?endpoint=http://127.0.0.1:10000/acct1&part-size=100MiB&ca-file=/ca.pem",
      {
        kind: "azure",
        options: {
          account: "acct1",
          container: "backups",
          prefix: "p",
          endpoint: "http://127.0.0.1:10000/acct1",
          partBytes: 104_857_600,
          caFile: "/ca.pem",
        },
      },
    ],
  ] as const)("%s is understood", ([url, location]) => {
    expect(parseStoreUrl(url)).toEqual(location);
  });

  test.for([
    [
      "",
      '"" is no place for a store',
      "Write one of s3://bucket/path, gs://bucket/path, azure://account/container/path (or its https:// address), file:///path and plain paths.",
    ],
    [
      "ftp://host/path",
      '"ftp://host/path" has the unknown scheme "ftp"',
      "Supported are s3://bucket/path, gs://bucket/path, azure://account/container/path (or its https:// address), file:///path and plain paths.",
    ],
    [
      "file://host/path",
      '"file://host/path" is not a file URL with a path alone',
      "Write it with three slashes: file:///srv/backup.",
    ],
    ["s3:///path", '"s3:///path" names no bucket', "Write s3://bucket/path."],
    [
      "s3://minio:9000/bucket/path",
      '"s3://minio:9000/bucket/path" has a port ("9000") where a bucket\'s name is',
      "Where the server is goes behind a ?: s3://bucket/path?endpoint=https://host:9000.",
    ],
    [
      "azure://acct1:10000/c",
      '"azure://acct1:10000/c" has a port ("10000") where an account\'s name is',
      azureForms,
    ],
    [
      "s3://b?endpoint=host:9000",
      '"host:9000" is not an endpoint',
      "Write it with its scheme: https://host:port.",
    ],
    ["s3://b?path-style=yes", '"yes" is no value of "path-style"', "Write true or false."],
    [
      "s3://b/100%/x?secret=geheim",
      '"s3://b/100%/x" has a % that begins no escape',
      "A % in the path is written %25.",
    ],
    [
      "file:///srv/100%/x",
      '"file:///srv/100%/x" has a path that cannot be read',
      "A % in the path is written %25; or write a plain path.",
    ],
    [
      "file:///srv/a%2Fb",
      '"file:///srv/a%2Fb" has a path that cannot be read',
      "A % in the path is written %25; or write a plain path.",
    ],
    [
      "s3://b?part-size=4MiB",
      '"4MiB" is no value of "part-size"',
      "S3 takes parts of 5MiB to 5GiB; only the last one may be smaller.",
    ],
    [
      "s3://b?part-size=6GiB",
      '"6GiB" is no value of "part-size"',
      "S3 takes parts of 5MiB to 5GiB; only the last one may be smaller.",
    ],
    ["gs:///path", '"gs:///path" names no bucket', "Write gs://bucket/path."],
    [
      "gs://b?part-size=100KiB",
      '"100KiB" is no value of "part-size"',
      "Parts have 256KiB to 5GiB; only the last one may be smaller.",
    ],
    [
      "gs://b?region=x",
      '"gs://b" has the unknown parameter "region"',
      "Known are endpoint, ca-file, part-size.",
    ],
    [
      "s3://b?profile=amazon",
      '"amazon" is no value of "profile"',
      "Write one of aws, r2, b2, gcs, minio, ceph, spaces, wasabi, hetzner, scaleway, ovh.",
    ],
    [
      "s3://b?proxy=http://user:geheim@proxy",
      '"http://proxy/" came with credentials in the URL',
      "URLs end up in logs and process lists: name a file with proxyCredentialsFile, or set HTTPS_PROXY, instead.",
    ],
    [
      "s3://b/p?regoin=x",
      '"s3://b/p" has the unknown parameter "regoin"',
      "Known are endpoint, region, path-style, ca-file, profile, aws-profile, proxy, part-size, conditional-create.",
    ],
    [
      "https://s3.example.org/bucket/path",
      '"https://s3.example.org/bucket/path" is not the address of an Azure container',
      azureForms,
    ],
    [
      "https://acct1.blob.core.windows.net/",
      '"https://acct1.blob.core.windows.net/" names no container ("")',
      azureForms,
    ],
    ["azure://Acct_1/c", '"azure://Acct_1/c" names no storage account ("Acct_1")', azureForms],
    ["http://127.0.0.1:10000/acct1", '"http://127.0.0.1:10000/acct1" names no container ("")', azureForms],
    [
      "azure://acct1/two--dashes/x",
      '"azure://acct1/two--dashes/x" names no container ("two--dashes")',
      azureForms,
    ],
    [
      "azure://acct1/backups?part-size=4001MiB",
      '"4001MiB" is no value of "part-size"',
      "Azure takes blocks of up to 4000MiB.",
    ],
    [
      "azure://acct1/backups#x",
      '"azure://acct1/backups" has a fragment (#…)',
      "A # in the path is written %23.",
    ],
  ] as const)("%j is refused with its reason", ([url, message, hint]) => {
    expect(() => parseStoreUrl(url)).toThrow(expect.objectContaining({ code: "usage", message, hint }));
  });

  test.for([
    "s3://key:geheim@bucket/path",
    "s3://bucket/path?secret_access_key=geheim",
    "s3://bucket/path?AWS_ACCESS_KEY_ID=geheim",
    "s3://bucket/path?endpoint=https://user:geheim@host",
  ])("credentials in a URL are refused and not repeated: %s", (url) => {
    expect(() => parseStoreUrl(url)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.not.stringContaining("geheim") as string,
        hint: "URLs end up in logs and process lists: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, instead.",
      }),
    );
  });

  test.for(["gs://key:geheim@bucket/path", "gs://bucket/path?token=geheim"])(
    "credentials in a URL of Google's are refused and not repeated: %s",
    (url) => {
      expect(() => parseStoreUrl(url)).toThrow(
        expect.objectContaining({
          code: "usage",
          message: expect.not.stringContaining("geheim") as string,
          hint: "URLs end up in logs and process lists: set GOOGLE_APPLICATION_CREDENTIALS, or name a credentials file, instead.",
        }),
      );
    },
  );

  test.for([
    "https://acct1.blob.core.windows.net/backups?sv=2024-11-04&sp=racwdl&sig=geheim",
    "https://acct1:geheim@acct1.blob.core.windows.net/backups",
    "azure://acct1/backups?AccountKey=geheim",
    "azure://acct1/backups?sas_token=geheim",
    "azure://acct1/backups?connection-string=geheim",
    "azure://acct1/backups?endpoint=https://user:geheim@host",
  ])("credentials in the address of a container are refused and not repeated: %s", (url) => {
    expect(() => parseStoreUrl(url)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.not.stringContaining("geheim") as string,
        hint: "URLs end up in logs and process lists: set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or name a credentials file, instead.",
      }),
    );
  });

  test.for([
    "s3://key:ge/heim@bucket/path",
    "s3:key:geheim@bucket/path",
    "key:geheim@bucket/path",
    "s3:///path?secret=geheim",
    "s3://bucket/path?secret=geheim#x",
    "s3://bucket?endpoint=user:geheim@host:9000",
    "s3://bucket?endpoint=https://user:ge/heim@host",
    "s3://bucket?endpoint=https://host/%3Fsig=geheim",
    "s3://bucket?proxy=user:geheim@proxy:3128",
  ])("what may be a secret in what is no URL is not repeated: %s", (url) => {
    expect(() => parseStoreUrl(url)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.not.stringContaining("heim") as string }),
    );
  });

  test.for([
    ["host:9000", '"host:9000" is not an endpoint'],
    ["https://user:geheim@host", '"https://host/" came with credentials in the URL'],
    ["https://host/?sig=geheim", '"https://host/" is not an endpoint'],
  ] as const)("the endpoint %s of the settings is refused as in a URL", async ([endpoint, message]) => {
    const settings = { endpoint };
    for (const [url, options] of [
      ["s3://b", { s3: settings }],
      ["gs://b", { gcs: settings }],
      ["azure://acct1/backups", { azure: settings }],
    ] as const) {
      await expect(openStore(url, options)).rejects.toMatchObject({ code: "usage", message });
    }
  });

  test("opens a directory by path and by URL", async () => {
    const { url } = await temporaryStore();
    await (await openStore(url)).put("key", [Buffer.from("x")]);

    expect(await (await openStore(`file://${url}`)).head("key")).toMatchObject({ sizeBytes: 1 });
    await expect(openStore(`${url}/missing`)).rejects.toMatchObject({ code: "store-missing" });
    expect((await openStore(`${url}/made`, { createRoot: true })).url).toBe(`${url}/made`);
  });
});
