import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startAzurite, type Azurite } from "../../../test/support/azurite.ts";
import { Secret } from "../../common/log.ts";
import { readObject } from "../object-body.ts";
import type { ObjectStore } from "../object-store.ts";
import { openStore } from "../open-store.ts";
import { testObjectStore } from "../testing/conformance.ts";
import type { AzureCredentials } from "./azure-credentials.ts";
import { openAzureStore, type AzureStoreOptions } from "./azure-store.ts";

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(async () => azurite[Symbol.asyncDispose]());

async function open(options: Partial<AzureStoreOptions> = {}): Promise<ObjectStore> {
  const { account, key, endpoint } = azurite;
  const container = options.container ?? (await azurite.freshContainer());
  return openAzureStore({ account, endpoint, credentials: keyCredentials(key), ...options, container });
}

function keyCredentials(key: string): AzureCredentials {
  return { kind: "key", account: azurite.account, key: new Secret(key), endpoint: undefined };
}

/** The container as whoever is not us sees it. */
function rawContainer(name: string): ContainerClient {
  const { account, key, endpoint } = azurite;
  return new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, key));
}

function sas(container: string, permissions: string, expiresOn = new Date(Date.now() + 3_600_000)): string {
  return generateBlobSASQueryParameters(
    {
      containerName: container,
      permissions: ContainerSASPermissions.parse(permissions),
      startsOn: new Date(Date.now() - 7_200_000),
      expiresOn,
    },
    new StorageSharedKeyCredential(azurite.account, azurite.key),
  ).toString();
}

function sasCredentials(token: string): AzureCredentials {
  return { kind: "sas", account: azurite.account, token: new Secret(token), endpoint: undefined };
}

const content = Buffer.from("x");

testObjectStore("Azure (Azurite)", async () => open({ prefix: "some/path" }));

describe("Azure (Azurite)", () => {
  test("two stores below different paths of a container do not see each other", async () => {
    const container = await azurite.freshContainer();
    const one = await open({ container, prefix: "one" });
    const other = await open({ container, prefix: "one-other" });
    await one.put("key", [Buffer.from("one")]);
    await other.put("key", [Buffer.from("other")]);

    expect(one.url).toBe(`azure://tidemarktest/${container}/one`);
    expect((await Array.fromAsync(one.list(""))).length).toBe(1);
    expect(String(await readObject(one, "key", 100))).toBe("one");
    expect(String(await readObject(other, "key", 100))).toBe("other");
  });

  test("a missing container is no empty container", async () => {
    const store = await open({ container: "no-such-container" });
    const missing = {
      code: "store-missing",
      hint: "Create the container first; Tidemark does not, because its settings (who may read, tiers, immutability) are yours.",
    };

    await expect(store.head("x")).rejects.toMatchObject({
      ...missing,
      message:
        'could not look at "x" in azure://tidemarktest/no-such-container: the container does not exist',
    });
    await expect(store.get("x")).rejects.toMatchObject(missing);
    await expect(store.put("x", [content])).rejects.toMatchObject(missing);
    await expect(store.put("x", [content], { ifAbsent: true })).rejects.toMatchObject(missing);
    await expect(store.startUpload("x")).rejects.toMatchObject(missing);
    await expect(store.delete(["x"])).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.abandonedUploads(""))).rejects.toMatchObject(missing);
  });

  test("a wrong key is refused with the advice that fits, and without the key", async () => {
    const wrong = Buffer.from("not-the-key").toString("base64");
    const store = await open({ credentials: keyCredentials(wrong) });

    const failure = await store.put("x", [content]).catch((error: unknown) => error);

    expect(failure).toMatchObject({
      code: "store-denied",
      retryable: false,
      hint: "The firewall of the storage account does not let this machine in, or the SAS does not allow this (an emulator says so of a wrong key, too).",
    });
    expect(inspect(failure, { depth: 9 })).not.toMatch(/not-the-key|SharedKey/);
    expect(inspect(failure, { depth: 9 })).not.toContain(wrong);
    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject({ code: "store-denied" });
    await expect(store.head("x")).rejects.toMatchObject({ code: "store-denied" });
  });

  test("an account that the server does not have is refused", async () => {
    const endpoint = azurite.endpoint.replace(azurite.account, "nobody");
    const credentials = { ...keyCredentials(azurite.key), account: "nobody" };
    const store = await open({ account: "nobody", endpoint, credentials });

    const missing = {
      code: "store-missing",
      message: expect.stringContaining(": the storage account or container does not exist") as string,
    };
    await expect(store.put("x", [content])).rejects.toMatchObject(missing);
    await expect(store.head("x")).rejects.toMatchObject(missing);
  });

  test("credentials of another account are refused before anything is sent", async () => {
    const credentials = { ...keyCredentials(azurite.key), account: "another" };

    await expect(open({ credentials })).rejects.toMatchObject({
      code: "config",
      message:
        'the credentials are those of the storage account "another", and the store is in "tidemarktest"',
      hint: "Give this store credentials of its own (a credentials file), or correct its address.",
    });
  });

  test("a shared access signature is enough, and what it does not allow is refused without showing it", async () => {
    const container = await azurite.freshContainer();
    const all = await open({ container, credentials: sasCredentials(sas(container, "racwdl")) });
    const readOnly = await open({ container, credentials: sasCredentials(sas(container, "rl")) });

    await all.put("key", [Buffer.from("by SAS")], { ifAbsent: true });
    const upload = await all.startUpload("large");
    await upload.writePart(0, [content]);
    await upload.complete();
    expect(String(await readObject(readOnly, "key", 100))).toBe("by SAS");
    expect(await Array.fromAsync(readOnly.list(""))).toHaveLength(2);
    const failure = await readOnly.put("key", [content]).catch((error: unknown) => error);

    expect(failure).toMatchObject({
      code: "store-denied",
      hint: "Give this identity the role Storage Blob Data Contributor on the container, or a SAS with the permissions read, add, create, write, delete and list on it.",
    });
    expect(inspect(failure, { depth: 9 })).not.toContain("sig=");
    await all.delete(["key", "large"]);
    expect(await Array.fromAsync(all.list(""))).toEqual([]);
  });

  test("a signature that has run out is named as such", async () => {
    const container = await azurite.freshContainer();
    const expired = sas(container, "racwdl", new Date(Date.now() - 3_600_000));
    const store = await open({ container, credentials: sasCredentials(expired) });

    await expect(store.get("key")).rejects.toMatchObject({ code: "store-denied" });
  });

  test("a server that is not there is unavailable, and worth another try", async () => {
    const store = await open({ endpoint: `http://127.0.0.1:9/${azurite.account}` });

    await expect(store.head("x")).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      message: expect.stringMatching(/container|test-/) as string,
      hint: `Nothing listens at http://127.0.0.1:9/${azurite.account}: check the endpoint, and that the store runs.`,
    });
  });

  test("a rotated key is taken up from its file without opening the store again", async () => {
    const container = await azurite.freshContainer();
    const folder = await mkdtemp(join(tmpdir(), "tidemark-azure-"));
    onTestFinished(async () => rm(folder, { recursive: true, force: true }));
    const credentialsFile = join(folder, "credentials.json");
    const write = async (credentials: object): Promise<void> => {
      await writeFile(`${credentialsFile}.new`, JSON.stringify(credentials), { mode: 0o600 });
      await rename(`${credentialsFile}.new`, credentialsFile);
    };
    const accountName = azurite.account;
    await write({ accountName, sasToken: `?${sas(container, "racwdl")}` });
    const store = await openStore(`${azurite.endpoint}/${container}/p`, { azure: { credentialsFile } });
    onTestFinished(async () => store.close());

    const upload = await store.startUpload("large", { partBytes: 5 });
    await upload.writePart(0, [Buffer.from("first")]);
    await write({ accountName, accountKey: Buffer.from("revoked").toString("base64") });
    // The file is looked at once a second.
    await new Promise((resolve) => setTimeout(resolve, 1050));
    await expect(upload.writePart(1, [content])).rejects.toMatchObject({ code: "store-denied" });
    await write({ accountName, accountKey: azurite.key });
    await new Promise((resolve) => setTimeout(resolve, 1050));
    await upload.writePart(1, [content]);
    await upload.complete();

    expect(String(await readObject(store, "large", 100))).toBe("firstx");
  });

  test("tags become index tags", async () => {
    const container = await azurite.freshContainer();
    const tagsOf = (key: string) => ({ team: "data + more", what: key });
    const store = await open({ container, tagsOf: (key) => (key === "plain" ? {} : tagsOf("wal")) });
    await store.put("put", [content]);
    await store.put("plain", [content]);
    const upload = await store.startUpload("upload");
    await upload.writePart(0, [content]);
    await upload.complete();

    const raw = rawContainer(container);
    for (const key of ["put", "upload"]) {
      expect((await raw.getBlobClient(key).getTags()).tags).toEqual({ team: "data + more", what: "wal" });
    }
    expect((await raw.getBlobClient("plain").getTags()).tags).toEqual({});
  });

  test("names that Azure would change are refused", async () => {
    const store = await open();

    for (const key of ["back\\slash", "dot./x", "dot."]) {
      await expect(store.put(key, [content])).rejects.toMatchObject({
        code: "usage",
        hint: "Azure changes backslashes, and dots at the end of a step: use other names.",
      });
    }
  });
});

describe("uploads to Azure (Azurite)", () => {
  test("completing one whose answer was lost succeeds, also when the key must be free", async () => {
    const lossy = await losingAnswers("comp=blocklist");
    const store = await open({ endpoint: `${lossy.origin}/${azurite.account}` });
    for (const ifAbsent of [false, true]) {
      const key = `lost-${ifAbsent}`;
      const upload = await store.startUpload(key, { ifAbsent, partBytes: 10 });
      await upload.writePart(1, [Buffer.alloc(3, 2)]);
      await upload.writePart(0, [Buffer.alloc(10, 1)]);
      lossy.loseNext();
      await expect(upload.complete()).rejects.toMatchObject({ code: "store-unavailable", retryable: true });

      const info = await upload.complete();

      expect(info).toMatchObject({ key, sizeBytes: 13 });
      expect(await store.head(key)).toEqual(info);
    }
  });

  test("two under one key do not mix, and the slower one is told that it lost", async () => {
    const store = await open();
    const [one, other] = await Promise.all(
      [1, 2].map(async () => store.startUpload("key", { partBytes: 5 })),
    );
    for (const [index, text] of ["aaaaa", "bbb"].entries()) await one!.writePart(index, [Buffer.from(text)]);
    for (const [index, text] of ["ccccc", "ddd"].entries())
      await other!.writePart(index, [Buffer.from(text)]);

    await one!.complete();

    expect(String(await readObject(store, "key", 100))).toBe("aaaaabbb");
    await expect(other!.complete()).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      hint: "Azure drops them when somebody else writes under the same name, and after a week: run the same command again.",
    });
    await other!.abort();
    expect(String(await readObject(store, "key", 100))).toBe("aaaaabbb");
  });

  test("one that is dropped leaves the parts of another under the same key alone", async () => {
    const store = await open();
    const [one, other] = await Promise.all([1, 2].map(async () => store.startUpload("key")));
    await one!.writePart(0, [Buffer.from("one")]);
    await other!.writePart(0, [Buffer.from("other")]);

    await one!.abort();

    expect(await Array.fromAsync(store.abandonedUploads(""))).toHaveLength(2);
    await other!.complete();
    expect(String(await readObject(store, "key", 100))).toBe("other");
    expect(await Array.fromAsync(store.abandonedUploads(""))).toEqual([]);
  });

  test("a mark that was left in the midst of dropping one is no object, and is found", async () => {
    const container = await azurite.freshContainer();
    const store = await open({ container });
    const leaveMark = async (key: string) =>
      rawContainer(container)
        .getBlockBlobClient(key)
        .commitBlockList([], { metadata: { tidemark: "discarded" } });
    for (const key of ["put", "upload", "left"]) await leaveMark(key);

    expect(await store.head("left")).toBeUndefined();
    expect(await store.get("left")).toBeUndefined();
    expect(await store.get("left", { range: { startByte: 2 } })).toBeUndefined();
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
    await store.put("put", [Buffer.from("put")], { ifAbsent: true });
    const upload = await store.startUpload("upload", { ifAbsent: true });
    await upload.writePart(0, [Buffer.from("upload")]);
    await upload.complete();
    expect(String(await readObject(store, "put", 100))).toBe("put");
    expect(String(await readObject(store, "upload", 100))).toBe("upload");
    await expect(store.put("put", [content], { ifAbsent: true })).rejects.toMatchObject({
      code: "object-exists",
    });

    const [left, ...more] = await Array.fromAsync(store.abandonedUploads(""));
    expect([left?.key, more]).toEqual(["left", []]);
    await store.abortAbandonedUpload(left!);
    await store.abortAbandonedUpload(left!);
    expect(await Array.fromAsync(store.abandonedUploads(""))).toEqual([]);
    expect(await Array.fromAsync(rawContainer(container).listBlobsFlat())).toHaveLength(2);
  });

  test("what another program left is found and can be dropped", async () => {
    const container = await azurite.freshContainer();
    const store = await open({ container });
    const blob = rawContainer(container).getBlockBlobClient("barman/data.tar");
    await blob.stageBlock(Buffer.from("00000").toString("base64"), content, 1);

    const found = await Array.fromAsync(store.abandonedUploads("barman/"));

    expect(found.map(({ key }) => key)).toEqual(["barman/data.tar"]);
    for (const upload of found) await store.abortAbandonedUpload(upload);
    expect(await Array.fromAsync(store.abandonedUploads(""))).toEqual([]);
    expect(await store.head("barman/data.tar")).toBeUndefined();
  });
});

/** A way to the emulator that, when told, hands the next request on and loses its answer. */
async function losingAnswers(query: string) {
  let lose = false;
  const { port } = new URL(azurite.endpoint);
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const onward = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
      const isLost = lose && url?.includes(query);
      if (isLost === true) {
        lose = false;
        answer.resume().on("end", () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseNext: () => {
      lose = true;
    },
  };
}
