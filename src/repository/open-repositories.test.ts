import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { readObject } from "../storage/object-body.ts";
import { generateRepositoryKey } from "./encryption/repository-key.ts";
import { closeRepositories, nameRepositories, openRepositories } from "./open-repositories.ts";
import type { RepositorySettings } from "./repository-settings.ts";
import { parseServerName } from "./server-name.ts";

const server = parseServerName("pg1");

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidemark-repositories-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

const nothingThere = "<Error><Code>NoSuchKey</Code></Error>";

/** Takes every write, and keeps the headers of each. */
async function listeningStore(): Promise<{ readonly origin: string; readonly seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    if (request.method === "PUT") seen.push(request.headers);
    request.resume();
    request.on("end", () => {
      if (request.method === "PUT") response.writeHead(201, { etag: '"e"' }).end();
      // As Azure says it, and as S3 does.
      else response.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end(nothingThere);
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function open(
  settings: readonly RepositorySettings[],
  access: Parameters<typeof openRepositories>[0]["access"] = { kind: "read" },
) {
  const repositories = await openRepositories({
    settings,
    server,
    log: silentLog,
    access,
    signal: new AbortController().signal,
  });
  onTestFinished(async () => closeRepositories(repositories));
  return repositories;
}

describe("opening repositories", () => {
  test("keeps their order, and names those that have no name by their place", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a", "b", "c"]) await mkdir(join(folder, name));

    const repositories = await open([
      { url: join(folder, "a") },
      { url: join(folder, "b"), name: "near" },
      { url: join(folder, "c") },
    ]);

    expect(repositories.map(({ name, store }) => [name, store.url])).toEqual([
      ["repo1", join(folder, "a")],
      ["near", join(folder, "b")],
      ["repo3", join(folder, "c")],
    ]);
  });

  test("gives each the server name of its own settings, else the common one", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a", "b"]) await mkdir(join(folder, name));

    const repositories = await open([
      { url: join(folder, "a"), server: "pg1-elsewhere" },
      { url: join(folder, "b") },
    ]);

    expect(repositories.map((repository) => repository.server)).toEqual(["pg1-elsewhere", "pg1"]);
    await expect(open([{ url: join(folder, "a"), server: "no/name" }])).rejects.toMatchObject({
      code: "usage",
    });
  });

  test("refuses two of one name before anything is opened", () => {
    expect(() => nameRepositories([{ url: "/a", name: "repo2" }, { url: "/b" }])).toThrow(
      expect.objectContaining({
        code: "config",
        message: 'two repositories are called "repo2"',
        hint: "Give each a name of its own.",
      }),
    );
  });

  test("makes a directory for whoever writes, and none for whoever reads", async () => {
    const folder = await temporaryFolder();
    const [read, written] = [join(folder, "read"), join(folder, "written")];

    await expect(open([{ url: read }])).rejects.toMatchObject({ code: "store-missing" });
    await open([{ url: written }], { kind: "write", spoolDirectory: undefined });

    await expect(access(read)).rejects.toMatchObject({ code: "ENOENT" });
    await access(written);
  });

  test("does not let one of several whose directory cannot be made keep a writer from the others", async () => {
    const folder = await temporaryFolder();
    const settings = [{ url: "/dev/null/store" }, { url: join(folder, "b") }];
    const writer = { kind: "write", spoolDirectory: join(folder, "spool") } as const;

    const [first, second] = await open(settings, writer);

    await expect(first!.store.put("x", [])).rejects.toMatchObject({ code: "store-missing" });
    await second!.store.put("x", []);
    await expect(open(settings.slice(0, 1), writer)).rejects.toMatchObject({
      code: "store-missing",
    });
  });

  test("does not make a directory again that was claimed before, and opens it nevertheless", async () => {
    const folder = await temporaryFolder();
    const url = join(folder, "disk");
    const writer = { kind: "write", spoolDirectory: join(folder, "spool") } as const;
    const [begun] = await open([{ url }], writer);
    await begun!.claimNote!.write({ repository: "repo1" });
    await rm(url, { recursive: true });

    const [again] = await open([{ url }], writer);

    await expect(again!.store.head("x")).rejects.toMatchObject({ code: "store-missing" });
    await expect(access(url)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("knows a container of Azure that was claimed, however its address is written", async () => {
    const folder = await temporaryFolder();
    const credentialsFile = join(folder, "azure.json");
    await writeFile(credentialsFile, '{"accountKey":"Z2VoZWlt"}', { mode: 0o600 });
    const writer = { kind: "write", spoolDirectory: join(folder, "spool") } as const;
    const noteOf = async (url: string) =>
      (await open([{ url, credentialsFile }], writer))[0]?.claimNote?.path;

    const usual = await noteOf("https://acct1.blob.core.windows.net/backups/pg/");

    expect(usual).toBeDefined();
    expect(await noteOf("azure://acct1/backups/pg")).toBe(usual);
    expect(await noteOf("azure://acct1/backups/other")).not.toBe(usual);
    expect(await noteOf("http://127.0.0.1:10000/acct1/backups/pg")).not.toBe(usual);
  });

  test("takes the credentials of a store from its file, which must be closed to others", async () => {
    const credentialsFile = join(await temporaryFolder(), "credentials.json");
    await writeFile(credentialsFile, '{"accessKeyId":"a","secretAccessKey":"geheim"}', { mode: 0o600 });

    const [opened] = await open([{ url: "s3://bucket/path", credentialsFile }]);
    await chmod(credentialsFile, 0o644);

    expect(opened?.store.url).toBe("s3://bucket/path");
    await expect(open([{ url: "s3://bucket/path", credentialsFile }])).rejects.toMatchObject({
      code: "config",
    });
  });
});

describe("an encrypted repository", () => {
  async function encrypted() {
    const folder = await temporaryFolder();
    const identityFile = join(folder, "identity.txt");
    await writeFile(identityFile, `${generateRepositoryKey().identity.reveal()}\n`, { mode: 0o600 });
    return { url: join(folder, "repository"), identityFile };
  }

  test("is made by the first who writes, and read with its settings alone", async () => {
    const { url, identityFile } = await encrypted();
    const encryption = { identityFile };
    const [writer] = await open([{ url, encryption }], { kind: "write", spoolDirectory: undefined });

    await writer!.store.put("pg1/x", [Buffer.from("content")]);
    const [reader] = await open([{ url, encryption }]);
    const [without] = await open([{ url }]);

    expect((await readObject(reader!.store, "pg1/x", 100))?.toString()).toBe("content");
    expect((await readFile(join(url, "pg1/x.age"), "latin1")).includes("content")).toBe(false);
    await expect(without!.store.get("pg1/x")).rejects.toMatchObject({ code: "encryption-key" });
  });

  test("is not opened at all with a key that cannot be read", async () => {
    const { url, identityFile } = await encrypted();
    await chmod(identityFile, 0o604);

    const opening = open([{ url, encryption: { identityFile } }], {
      kind: "write",
      spoolDirectory: undefined,
    });

    await expect(opening).rejects.toMatchObject({ code: "config" });
    await expect(access(url)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("takes up a key of the operator that was replaced before the repository's were read", async () => {
    const { url, identityFile } = await encrypted();
    const encryption = { identityFile };
    const writer = { kind: "write", spoolDirectory: undefined } as const;
    const key = await readFile(identityFile);
    await writeFile(identityFile, `${generateRepositoryKey().identity.reveal()}\n`);
    const [early] = await open([{ url, encryption }], writer);
    await writeFile(identityFile, key);
    const [first] = await open([{ url, encryption }], writer);
    await first!.store.put("pg1/x", [Buffer.from("content")]);

    expect(await early!.store.head("pg1/x")).toMatchObject({ sizeBytes: 7 });
  });
});

test("what an S3 store is to do with written objects is asked of it with every one", async () => {
  const { origin: endpoint, seen } = await listeningStore();
  const folder = await temporaryFolder();
  const credentialsFile = join(folder, "credentials.json");
  await writeFile(credentialsFile, JSON.stringify({ accessKeyId: "a", secretAccessKey: "s" }), {
    mode: 0o600,
  });
  const [repository] = await open([
    {
      url: "s3://bucket/pg",
      endpoint,
      credentialsFile,
      serverSideEncryption: "AES256",
      objectTags: { team: "data & more" },
    },
  ]);

  await repository?.store.put("key", [Buffer.from("x")]);

  expect(seen).toMatchObject([
    { "x-amz-server-side-encryption": "AES256", "x-amz-tagging": "team=data+%26+more" },
  ]);
});

test("the tags of a container's objects are those of the settings, and history files have their own", async () => {
  const { origin, seen } = await listeningStore();
  const credentialsFile = join(await temporaryFolder(), "credentials.json");
  await writeFile(credentialsFile, '{"sasToken":"sv=1&sig=x"}', { mode: 0o600 });
  const [repository] = await open([
    {
      url: `${origin}/acct1/backups/p`,
      credentialsFile,
      objectTags: { team: "data + more" },
      historyTags: { kept: "long" },
    },
  ]);

  await repository?.store.put("pg1/wals/0000000100000000/000000010000000000000001", [Buffer.from("x")]);
  await repository?.store.put("pg1/wals/00000002.history", [Buffer.from("x")]);

  expect(seen).toMatchObject([{ "x-ms-tags": "team=data%20%2B%20more" }, { "x-ms-tags": "kept=long" }]);
});
