import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { writeStoreFiles } from "./store-files.ts";
import { describeObjectStore, resolveStore } from "./store-resolution.ts";

const keys = {
  accessKeyId: { name: "s3", key: "id" },
  secretAccessKey: { name: "s3", key: "key" },
};
const encoded = (text: string) => Buffer.from(text).toString("base64");

async function resolved(
  configuration: Record<string, unknown>,
  data: Readonly<Record<string, string>> = { id: encoded("AK"), key: encoded("SK") },
  env: readonly unknown[] = [],
  annotations: Readonly<Record<string, string>> = {},
) {
  const { open } = await temporaryResources();
  const store = await open();
  store.create({ apiVersion: "v1", kind: "Secret", namespace: "default", name: "s3", content: { data } });
  store.create({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    namespace: "default",
    name: "store",
    annotations,
    content: {
      spec: {
        configuration: { destinationPath: "s3://bucket/pg/", s3Credentials: keys, ...configuration },
        instanceSidecarConfiguration: { env },
      },
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

test("a role is taken from where the machine has one, or from what the sidecar is told", async () => {
  const s3Credentials = { inheritFromIAMRole: true };
  const machine = await resolved({ s3Credentials });
  const sidecar = await resolved({ s3Credentials }, {}, [
    { name: "AWS_ROLE_ARN", value: "arn:aws:iam::1:role/x" },
    { name: "AWS_WEB_IDENTITY_TOKEN_FILE", value: "/run/token" },
    { name: "SOMETHING", valueFrom: { secretKeyRef: { name: "s3", key: "id" } } },
  ]);

  expect(machine).toMatchObject({ kind: "ok", value: { credentials: undefined } });
  expect(machine.kind === "ok" ? machine.value.settings : machine).toEqual({
    name: "store",
    url: "s3://bucket/pg",
  });
  expect(sidecar).toMatchObject({
    kind: "ok",
    value: {
      credentials: undefined,
      settings: { webIdentity: { roleArn: "arn:aws:iam::1:role/x", tokenFile: "/run/token" } },
    },
  });
});

test.each([
  [
    { endpointURL: "https://0a.r2.cloudflarestorage.com", tags: { team: "data" } },
    'store "store" cannot work so: objects get tags, and Cloudflare R2 has none: it refuses every write with them. Leave the tags out for this store.',
  ],
  [
    { destinationPath: "s3://bucket/100%" },
    'store "store" cannot be opened: "s3://bucket/100%" has a % that begins no escape',
  ],
  [
    { destinationPath: "ftp://bucket" },
    'store "store" is at "ftp://bucket", and only s3://, gs://, containers of Azure and directories are supported so far',
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

test.each([
  [{ identity: "AGE-SECRET-KEY-1X" }, "identityFile", "store.identity"],
  [{ passphrase: "geheim" }, "passphraseFile", "store.passphrase"],
])("a store is encrypted with what the Secret of its annotation has: %o", async (values, setting, name) => {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, encoded(value)]));
  const directory = await mkdtemp(join(tmpdir(), "tidemark-stores-"));
  onTestFinished(async () => rm(directory, { recursive: true, force: true }));

  const found = await resolved({ destinationPath: "/srv/backups", s3Credentials: undefined }, data, [], {
    "tidemark.dev/encryption-secret": "s3",
  });
  const [settings] = await writeStoreFiles(directory, found.kind === "ok" ? [found.value] : []);

  const path = join(directory, name);
  expect(settings?.encryption).toEqual({ [setting]: path });
  expect(await readFile(path, "utf8")).toBe(Object.values(values)[0]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test.each([
  ["other", 'the encryption of store "store": Secret "other" is not in namespace "default"'],
  [
    "s3",
    'the encryption of store "store": Secret "s3" must have one of the keys "identity" and "passphrase"',
  ],
])("a store that cannot be encrypted is not opened: Secret %s", async (secret, problem) => {
  const found = await resolved({ destinationPath: "/srv/backups", s3Credentials: undefined }, undefined, [], {
    "tidemark.dev/encryption-secret": secret,
  });

  expect(found.kind === "missing" ? found.problems : found).toEqual([problem]);
});
