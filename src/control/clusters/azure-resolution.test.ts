import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openStore } from "../../storage/open-store.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { writeStoreFiles } from "./store-files.ts";
import { describeObjectStore, resolveStore } from "./store-resolution.ts";

const url = "https://acct1.blob.core.windows.net/backups/pg";
const secret = (key: string) => ({ name: "azure", key });
const connectionString = "DefaultEndpointsProtocol=https;AccountName=acct1;AccountKey=Z2VoZWlt";
const values = { string: connectionString, account: "acct1\n", key: "Z2VoZWlt", sas: "sv=1&sig=geheim" };

async function resolved(configuration: Record<string, unknown>) {
  const { open } = await temporaryResources();
  const store = await open();
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
  );
  store.create({ apiVersion: "v1", kind: "Secret", namespace: "default", name: "azure", content: { data } });
  store.create({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    namespace: "default",
    name: "store",
    content: { spec: { configuration: { destinationPath: `${url}/`, ...configuration } } },
  });
  const described = describeObjectStore(store, "default", "store", "pg");
  return described.kind === "ok" ? resolveStore(store, "default", described.value) : described;
}

test.each([
  ["a connection string", { connectionString: secret("string") }, { connectionString }],
  [
    "an account's key",
    { storageAccount: secret("account"), storageKey: secret("key") },
    { accountName: "acct1", accountKey: "Z2VoZWlt" },
  ],
  [
    "a shared access signature",
    { storageAccount: secret("account"), storageSasToken: secret("sas") },
    { accountName: "acct1", sasToken: "sv=1&sig=geheim" },
  ],
])(
  "%s becomes a file for its owner alone, with which the store opens",
  async (_what, azureCredentials, file) => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-azure-"));
    onTestFinished(async () => rm(folder, { recursive: true, force: true }));
    const found = await resolved({ azureCredentials, tags: { team: "data" } });
    if (found.kind !== "ok") throw new Error(found.problems.join("; "));

    const [settings] = await writeStoreFiles(folder, [found.value]);

    const credentialsFile = join(folder, "store.json");
    expect(settings).toEqual({ name: "store", url, objectTags: { team: "data" }, credentialsFile });
    expect(JSON.parse(await readFile(credentialsFile, "utf8"))).toEqual(file);
    expect((await stat(credentialsFile)).mode & 0o777).toBe(0o600);
    const store = await openStore(url, { azure: { credentialsFile } });
    expect(store.url).toBe("azure://acct1/backups/pg");
    await store.close();
  },
);

test.each([
  [{ inheritFromAzureAD: true }, "managed-identity"],
  [{ useDefaultAzureCredentials: true, storageAccount: secret("account") }, "default"],
])("%o signs in without a file", async (azureCredentials, azureIdentity) => {
  expect(await resolved({ azureCredentials })).toMatchObject({
    kind: "ok",
    value: { settings: { name: "store", url, azureIdentity }, credentials: undefined },
  });
});

const oneWay =
  'store "store" needs exactly one of connectionString, storageKey, storageSasToken, inheritFromAzureAD and useDefaultAzureCredentials';

test.each([
  [{ azureCredentials: {} }, oneWay],
  [{ azureCredentials: { storageAccount: secret("account"), inheritFromAzureAD: false } }, oneWay],
  [{ azureCredentials: { connectionString: secret("string"), storageKey: secret("key") } }, oneWay],
  [
    { azureCredentials: { storageKey: secret("kye"), storageAccount: secret("account") } },
    'the storage key of store "store": Secret "azure" has no key "kye", only "string", "account", "key", "sas"',
  ],
  [
    { azureCredentials: { connectionString: secret("string") }, destinationPath: "s3://bucket/pg" },
    'store "store" has azureCredentials, but "s3://bucket/pg" is no address of a container (https://ACCOUNT.blob.core.windows.net/CONTAINER/path)',
  ],
  [
    { s3Credentials: { inheritFromIAMRole: true } },
    'store "store" is a container of Azure, and s3Credentials are for s3://',
  ],
  [
    {
      azureCredentials: { connectionString: secret("string") },
      destinationPath: "https://s3.example/bucket",
    },
    'store "store" cannot be opened: "https://s3.example/bucket" is not the address of an Azure container',
  ],
])("what cannot work is named: %j", async (configuration, problem) => {
  const found = await resolved(configuration);

  expect(found.kind === "missing" ? found.problems : found).toEqual([problem]);
});
