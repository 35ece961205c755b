import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { fakeCluster } from "../../agent/testing/agent-bench.ts";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { isAlive } from "../../postgres/server-process-tree.ts";
import { objectStoreDraft } from "../backups/testing/sample-objects.ts";
import { WindowTable } from "../maintenance/cluster-windows.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { LocalServers } from "./local-servers.ts";
import { ServerReconciler } from "./server-reconciler.ts";
import { serverFolder } from "./server-folder.ts";
import { serverDraft } from "./testing/sample-server.ts";

const key: ResourceKey = { kind: "Server", namespace: "production", name: "main" };
const attached = fileURLToPath(new URL("testing/attached-process.ts", import.meta.url));
const { signal } = new AbortController();

async function control() {
  const stateDirectory = await temporaryFolder();
  const store = await (await temporaryResources()).open(systemClock);
  const open = () => {
    const servers = new LocalServers({
      stateDirectory,
      program: [process.execPath, attached],
      clock: systemClock,
      log: silentLog,
      onChange: () => undefined,
    });
    onTestFinished(async () => servers.stop(key));
    return servers;
  };
  const reconciling = (servers: LocalServers) =>
    new ServerReconciler({
      store,
      servers,
      stateDirectory,
      windows: new WindowTable(),
      onBackupEnded: () => undefined,
      clock: systemClock,
      log: silentLog,
    });
  return { stateDirectory, folder: serverFolder(stateDirectory, key), store, open, reconciling };
}

describe("a Server", () => {
  test("that lacks its store and its password says so, and nothing is started", async () => {
    const { store, open, reconciling } = await control();
    const { dataDirectory } = await fakeCluster();
    const password = { name: "login", key: "password" };
    store.create(serverDraft({ dataDirectory, connection: { password } }));
    const servers = open();

    await reconciling(servers).reconcile(key, signal);

    expect(store.require(key).status).toMatchObject({
      phase: "Waiting for what it refers to",
      phaseReason:
        'ObjectStore "store" is not in namespace "production"; the password of the connection: Secret "login" is not in namespace "production"',
    });
    expect((await servers.facts(key)).isAlive).toBe(false);
    const [event] = store.events({ about: key });
    expect(event).toMatchObject({ type: "Warning", reason: "Incomplete" });
  });

  test("that does not fit its schema any more is not touched, and says what is wrong", async () => {
    const { store, open, reconciling } = await control();
    store.create(serverDraft({ stores: [] }));

    expect(await reconciling(open()).reconcile(key, signal)).toBe("never");

    expect(store.require(key).status).toMatchObject({
      phase: "Invalid",
      conditions: [
        {
          type: "Ready",
          reason: "InvalidServer",
          message: "Server production/main cannot be understood: spec.stores: at least one store is needed",
        },
      ],
    });
  });

  test("gets an agent that another control plane finds again, and that ends with the Server", async () => {
    const { store, folder, open, reconciling } = await control();
    const { dataDirectory } = await fakeCluster();
    const backups = await temporaryFolder();
    store.create(objectStoreDraft(backups));
    store.create({
      apiVersion: "v1",
      kind: "Secret",
      namespace: "production",
      name: "login",
      content: { data: { password: Buffer.from("hush-hush").toString("base64") } },
    });
    const password = { name: "login", key: "password" };
    store.create(serverDraft({ dataDirectory, connection: { host: backups, password } }));
    const first = open();
    const reconciler = reconciling(first);
    await reconciler.reconcile(key, signal);
    await expect.poll(() => first.status(key), { timeout: 20_000 }).toBeDefined();
    await reconciler.reconcile(key, signal);

    const pid = first.status(key)?.pid ?? 0;
    expect(store.require(key).status).toMatchObject({
      agent: { pid },
      phase: "PostgreSQL does not answer",
      conditions: [{ type: "Ready", status: "False", reason: "PostgresUnreachable" }],
    });
    expect(await readFile(join(folder, "password"), "utf8")).toBe("hush-hush");
    expect((await stat(join(folder, "password"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "server.json"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, "server.json"), "utf8")).not.toContain("hush");
    expect(JSON.stringify(store.require(key))).not.toContain("hush");

    const second = open();
    await second.load();
    expect(second.status(key)?.pid).toBe(pid);
    await reconciling(second).reconcile(key, signal);
    expect(second.status(key)?.pid).toBe(pid);

    store.delete(key);
    await reconciling(second).reconcile(key, signal);
    expect(await isAlive(pid)).toBe(false);
    await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
    expect((await stat(`${dataDirectory}.tidemark`)).isDirectory()).toBe(true);
  });

  test("beside a Cluster's data directory is refused, and what was kept of it goes with it", async () => {
    const { stateDirectory, folder, store, open, reconciling } = await control();
    const data = join(stateDirectory, "clusters/default/pg/instances/pg-1/data");
    await fakeCluster(17, data);
    store.create(objectStoreDraft(await temporaryFolder()));
    store.create(serverDraft({ dataDirectory: data }));
    const reconciler = reconciling(open());
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "password"), "left by a control plane that was killed");

    await reconciler.reconcile(key, signal);
    expect(store.require(key).status).toMatchObject({
      phase: "Refused",
      conditions: [{ type: "Ready", status: "False", reason: "DataDirectoryOfCluster" }],
    });
    store.delete(key);
    await reconciler.reconcile(key, signal);

    await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
