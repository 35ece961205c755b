import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { sampleSpec } from "../../instance/process/testing/sample-spec.ts";
import { clusterFolders } from "./cluster-folders.ts";
import { LocalInstances } from "./local-instances.ts";

const one = { kind: "Cluster", namespace: "default", name: "one" };
const two = { kind: "Cluster", namespace: "default", name: "two" };

async function machine() {
  const stateDirectory = await mkdtemp(join(tmpdir(), "tidemark-local-"));
  onTestFinished(async () => rm(stateDirectory, { recursive: true, force: true }));
  const slow = fileURLToPath(new URL("./testing/slow-instance.ts", import.meta.url));
  const open = () =>
    new LocalInstances({
      stateDirectory,
      program: [process.execPath, slow],
      clock: systemClock,
      log: silentLog,
      onChange: () => undefined,
    });
  return { stateDirectory, open };
}

test("instances that are made at the same time get different ports", async () => {
  const instances = (await machine()).open();

  const places = await Promise.all([
    instances.place(one, "one-1"),
    instances.place(two, "two-1"),
    instances.place(two, "two-2"),
  ]);

  expect(new Set(places.map(({ port }) => port)).size).toBe(3);
});

test("a damaged specification does not keep other clusters from getting a place", async () => {
  const { stateDirectory, open } = await machine();
  const folder = join(clusterFolders(stateDirectory, one).instances, "one-1");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "instance.json"), "{");
  const instances = open();
  await instances.load();

  await expect(instances.place(two, "two-1")).resolves.toMatchObject({ name: "two-1" });
});

test("a folder in which nothing was written yet is no instance", async () => {
  const { stateDirectory, open } = await machine();
  await mkdir(join(clusterFolders(stateDirectory, one).instances, "one-1"), { recursive: true });
  const instances = open();

  await instances.load();

  expect(instances.of(one)).toEqual([]);
});

test("stopping waits for an instance whose process is being started, and ends it", async () => {
  const instances = (await machine()).open();
  await instances.writeSpec(one, sampleSpec({ cluster: "default/one", name: "one-1" }));
  instances.spawn(one, "one-1");

  await instances.stop(one, "one-1", 10_000);

  await expect.poll(async () => (await instances.facts(one))[0]?.isProcessAlive).toBe(false);
});

test("stopping an instance of which nothing runs is done at once", async () => {
  const instances = (await machine()).open();
  await instances.writeSpec(one, sampleSpec({ cluster: "default/one", name: "one-1" }));

  await expect(instances.stop(one, "one-1", 10_000)).resolves.toBeUndefined();
});
