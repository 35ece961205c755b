import { expect, test } from "vitest";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { describeObjectStore, resolveStore } from "./store-resolution.ts";

const keys = {
  accessKeyId: { name: "s3", key: "id" },
  secretAccessKey: { name: "s3", key: "key" },
};
const encoded = (text: string) => Buffer.from(text).toString("base64");

async function resolved(
  configuration: Record<string, unknown>,
  data: Readonly<Record<string, string>> = { id: encoded("AK"), key: encoded("SK") },
) {
  const { open } = await temporaryResources();
  const store = await open();
  store.create({ apiVersion: "v1", kind: "Secret", namespace: "default", name: "s3", content: { data } });
  store.create({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    namespace: "default",
    name: "store",
    content: {
      spec: { configuration: { destinationPath: "s3://bucket/pg/", s3Credentials: keys, ...configuration } },
    },
  });
  const described = describeObjectStore(store, "default", "store", "pg");
  return described.kind === "ok" ? resolveStore(store, "default", described.value) : described;
}

test("a store is opened with everything that its manifest says of it", async () => {
  const found = await resolved({
    endpointURL: "https://s3.example",
    s3Credentials: { ...keys, region: "auto" },
    wal: { encryption: "aws:kms" },
    data: { encryption: "AES256" },
    tags: { team: "data" },
    historyTags: { kept: "long" },
  });

  expect(found).toMatchObject({
    kind: "ok",
    value: {
      settings: {
        name: "store",
        url: "s3://bucket/pg",
        endpoint: "https://s3.example",
        region: "auto",
        serverSideEncryption: { wal: "aws:kms", base: "AES256" },
        objectTags: { team: "data" },
        historyTags: { kept: "long" },
      },
      credentials: { accessKeyId: "AK", secretAccessKey: "SK" },
    },
  });
});

test.each([
  [
    { destinationPath: "gs://bucket" },
    'store "store" is at "gs://bucket", and only s3:// and directories are supported so far',
  ],
  [
    { s3Credentials: { accessKeyId: keys.accessKeyId } },
    'store "store" needs both accessKeyId and secretAccessKey',
  ],
  [
    { s3Credentials: { ...keys, secretAccessKey: { name: "s3", key: "kye" } } },
    'the secret key of store "store": Secret "s3" has no key "kye", only "id", "key"',
  ],
])("what cannot work is named: %o", async (configuration, problem) => {
  const found = await resolved(configuration);

  expect(found.kind === "missing" ? found.problems : found).toEqual([problem]);
});
