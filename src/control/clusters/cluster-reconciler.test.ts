import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { sampleSpec } from "../../instance/process/testing/sample-spec.ts";
import { key } from "../resources/testing/drafts.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { clusterFolders } from "./cluster-folders.ts";
import { ClusterReconciler } from "./cluster-reconciler.ts";
import { LocalInstances } from "./local-instances.ts";

const pg = key("Cluster", "pg");
const manifest = {
  apiVersion: "postgresql.cnpg.io/v1",
  kind: "Cluster",
  namespace: "production",
  name: "pg",
  content: { spec: { instances: 1, storage: { size: "1Gi" } } },
};
const asleep = { ...manifest, annotations: { "cnpg.io/hibernation": "on" } };

/** A state directory with one instance of the cluster `production/pg`, whose data are one file. */
async function stateWithInstance() {
  const { folder: stateDirectory, open } = await temporaryResources();
  const store = await open();
  const start = async (lastSuccessfulBackup?: string) => {
    const instances = new LocalInstances({
      stateDirectory,
      program: [process.execPath, "--eval", ""],
      clock: systemClock,
      log: silentLog,
      onChange: () => undefined,
    });
    await instances.load();
    const reconciler = new ClusterReconciler({
      store,
      instances,
      stateDirectory,
      backupReport: () => ({
        fields: lastSuccessfulBackup === undefined ? {} : { lastSuccessfulBackup },
        lastBackup: undefined,
      }),
      clock: systemClock,
      log: silentLog,
    });
    return { instances, reconciler };
  };
  const { instances } = await start();
  await instances.writeSpec(pg, sampleSpec({ cluster: "production/pg" }));
  const folders = clusterFolders(stateDirectory, pg);
  const precious = join(folders.instances, "pg-1", "data", "precious");
  await mkdir(dirname(precious));
  await writeFile(precious, "rows");
  return { store, start, folders, precious };
}

test("a Cluster that is deleted and made again at once does not get the data of the one before; they are put aside", async () => {
  const { store, start, folders } = await stateWithInstance();
  const { instances, reconciler } = await start();
  store.create(asleep);
  await reconciler.reconcile(pg);

  store.delete(pg);
  store.create(asleep);
  await reconciler.reconcile(pg);

  expect(instances.of(pg)).toEqual([]);
  const [aside = ""] = await readdir(folders.aside);
  expect(aside).toMatch(/^pg-1-/);
  expect(await readFile(join(folders.aside, aside, "data", "precious"), "utf8")).toBe("rows");
});

test("the same Cluster keeps its instances when the control plane is started again", async () => {
  const { store, start, precious } = await stateWithInstance();
  store.create(asleep);
  await (await start()).reconciler.reconcile(pg);
  const { instances, reconciler } = await start();

  await reconciler.reconcile(pg);

  expect(instances.of(pg)).toHaveLength(1);
  expect(await readFile(precious, "utf8")).toBe("rows");
});

test("deleting a Cluster removes its data", async () => {
  const { store, start, folders } = await stateWithInstance();
  const { reconciler } = await start();
  store.create(asleep);
  await reconciler.reconcile(pg);

  store.delete(pg);
  await reconciler.reconcile(pg);

  await expect(readdir(folders.root)).rejects.toThrow("ENOENT");
});

test("instances without a Cluster, as a lost database leaves them, are put aside and not deleted", async () => {
  const { start, folders } = await stateWithInstance();
  const { instances, reconciler } = await start();

  await reconciler.reconcile(pg);

  expect(instances.of(pg)).toEqual([]);
  expect(await readdir(folders.aside)).toHaveLength(1);
});

test("what was put aside of this Cluster goes after a week and a base backup, and is shown with its size until then", async () => {
  const { store, start, folders } = await stateWithInstance();
  const { uid } = store.create(asleep).metadata;
  const eightDaysAgo = Date.now() - 8 * 86_400_000;
  const put = async (name: string, reason: string, at: number) => {
    await mkdir(join(folders.aside, name), { recursive: true });
    const note = { format: 1, reason, owner: uid, at: new Date(at).toISOString() };
    await writeFile(join(folders.aside, name, "aside.json"), JSON.stringify(note));
  };
  await put("pg-1-old", "replaced", eightDaysAgo);
  await put("pg-2-new", "replaced", Date.now());
  await put("pg-3-orphan", "orphaned", eightDaysAgo);

  await (await start()).reconciler.reconcile(pg);
  expect(await readdir(folders.aside)).toEqual(["pg-1-old", "pg-2-new", "pg-3-orphan"]);
  const { reconciler } = await start(new Date().toISOString());
  await reconciler.reconcile(pg);

  expect(await readdir(folders.aside)).toEqual(["pg-2-new", "pg-3-orphan"]);
  const aside = async () => {
    await reconciler.reconcile(pg);
    return (store.require(pg).status as { tidemark: { aside: unknown } }).tidemark.aside;
  };
  await expect.poll(aside).toMatchObject([
    { path: join(folders.aside, "pg-2-new"), bytes: expect.any(Number), keptUntil: expect.any(String) },
    { path: join(folders.aside, "pg-3-orphan"), bytes: expect.any(Number) },
  ]);
});
