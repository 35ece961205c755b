import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { clusterState } from "../../postgres/server-state.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { bootstrapLab, newCluster, sqlOn, type LabInstance } from "./testing/bootstrap-lab.ts";
import { recoverySource } from "./testing/recovery-source.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("testing/bootstrap-process.ts", import.meta.url));
const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Runs a bootstrap in a process that kills itself at a step; resolves with what ended it. */
async function killedAt({ folder, spec }: LabInstance, step: string) {
  const job = { folder: folder.root, spec, program: [process.execPath, main] };
  const child = spawn(process.execPath, [script, JSON.stringify(job)], {
    env: { ...process.env, TIDEMARK_FAULT_POINT: step },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return { step, signal };
}

const isThere = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Makes room for the next step: as if the instance had never been. */
async function forget({ folder }: LabInstance): Promise<void> {
  const made = [folder.data, folder.tablespaces, join(folder.root, "bootstrap.json")];
  for (const path of made) await rm(path, { recursive: true, force: true });
}

async function attempts({ folder }: LabInstance): Promise<string[]> {
  return readdir(join(folder.root, "bootstrap"));
}

/** The server of a killed process has its own life by now. */
async function untilServerRuns({ folder }: LabInstance): Promise<void> {
  for (const id of await readdir(join(folder.root, "bootstrap"))) {
    const data = join(folder.root, "bootstrap", id, "data");
    while ((await clusterState(data)).kind !== "running") await setTimeout(10);
  }
}

/** Each step costs two bootstraps and a server. */
const timeout = 600_000;

describe("killed at any step", () => {
  test("a new cluster is not there until it is whole, and the next call makes it", { timeout }, async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", {
      ...newCluster,
      postInitApplicationSql: ["CREATE TABLE made AS SELECT 1 AS n"],
    });

    for (const step of [
      "folder-made",
      "attempt-made",
      "initdb-done",
      "started",
      "filled",
      "before-report",
      "report-written",
    ]) {
      expect(await killedAt(instance, `bootstrap:${step}`)).toMatchObject({ signal: "SIGKILL" });
      expect([step, await isThere(instance.folder.data)]).toEqual([step, false]);
      await instance.bootstrap();
      expect([step, await attempts(instance)]).toEqual([step, []]);
      const server = await instance.serve();
      expect(await sqlOn(server, "SELECT n FROM made", { database: "app" })).toEqual([{ n: 1 }]);
      await server.stop("fast");
      await forget(instance);
    }
    // Behind the rename it is whole; what is left of the attempt goes with the next one.
    expect(await killedAt(instance, "bootstrap:renamed")).toMatchObject({ signal: "SIGKILL" });
    const server = await instance.serve();
    expect(await sqlOn(server, "SELECT n FROM made", { database: "app" })).toEqual([{ n: 1 }]);
    await server.stop("fast");
    await forget(instance);
    await instance.bootstrap();
    expect(await attempts(instance)).toEqual([]);
  });

  test("a copy is not there until it is whole, and the next call makes it", { timeout }, async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    await sqlOn(running, `CREATE TABLESPACE fast LOCATION '${await lab.folder.make("space")}'`);
    await sqlOn(running, "CREATE TABLE t TABLESPACE fast AS SELECT generate_series(1, 1000) AS n");
    const { socketDirectory: host, port } = primary.spec;
    const standby = await lab.instance(
      "pg-2",
      { kind: "clone", host, port, dataDirectory: primary.folder.data },
      { role: { kind: "standby", host, port } },
    );

    for (const step of [
      "slot-made",
      "backup-started",
      "copied",
      "backup-stopped",
      "before-control",
      "before-report",
      "report-written",
    ]) {
      expect(await killedAt(standby, `bootstrap:${step}`)).toMatchObject({ signal: "SIGKILL" });
      expect([step, await isThere(standby.folder.data)]).toEqual([step, false]);
      await standby.bootstrap();
      expect([step, await attempts(standby)]).toEqual([step, []]);
      expect(await readdir(join(standby.folder.tablespaces, "fast"))).toEqual([
        expect.stringMatching(/^PG_/) as string,
      ]);
      const copy = await standby.serve();
      expect(await sqlOn(copy, "SELECT count(*)::int AS n FROM t")).toEqual([{ n: 1000 }]);
      await copy.stop("fast");
      await forget(standby);
    }
  });

  test(
    "a copy that becomes a cluster of its own is not there until it is whole, and its origin keeps nothing for it",
    { timeout },
    async () => {
      await using lab = await bootstrapLab();
      const origin = await lab.instance("pg-1", newCluster);
      await origin.bootstrap();
      const running = await origin.serve();
      await sqlOn(running, `CREATE TABLESPACE fast LOCATION '${await lab.folder.make("space")}'`);
      await sqlOn(running, "CREATE TABLE t TABLESPACE fast AS SELECT generate_series(1, 1000) AS n");
      const { socketDirectory: host, port } = origin.spec;
      const copy = await lab.instance("copy-1", {
        kind: "copy",
        host,
        port,
        dataDirectory: origin.folder.data,
      });
      const slots = async () => sqlOn(running, "SELECT slot_name FROM pg_replication_slots");
      const copied = () => lab.activities.filter((activity) => activity === "copying the primary").length;

      for (const [step, goesOn] of [
        ["backup-started", false],
        ["wal-copied", false],
        ["recovery-started", false],
        ["promoted", true],
      ] as const) {
        expect(await killedAt(copy, `bootstrap:${step}`)).toMatchObject({ signal: "SIGKILL" });
        expect([step, await isThere(copy.folder.data)]).toEqual([step, false]);
        await expect.poll(slots, { timeout: 10_000 }).toEqual([]);
        lab.activities.length = 0;
        await copy.bootstrap();
        expect([step, copied() === 0]).toEqual([step, goesOn]);
        expect([step, await attempts(copy)]).toEqual([step, []]);
        const server = await copy.serve();
        expect(
          await sqlOn(server, "SELECT count(*)::int AS n, pg_is_in_recovery() AS standby FROM t"),
        ).toEqual([{ n: 1000, standby: false }]);
        await server.stop("fast");
        await forget(copy);
      }
      expect(await slots()).toEqual([]);
    },
  );

  test(
    "a recovery is not there until it has reached its target, and the next call goes on or begins anew",
    { timeout },
    async () => {
      await using lab = await bootstrapLab();
      await using source = await recoverySource(async (server) => {
        await server.sql(`CREATE TABLESPACE own LOCATION '${await server.folder.make("own")}'`);
        await server.sql("CREATE TABLE in_own TABLESPACE own AS SELECT 1 AS n");
      });
      const instance = await lab.instance("restored-1", source.bootstrap());
      const restoring = () => lab.activities.filter((activity) => activity.startsWith("restoring")).length;

      for (const [step, goesOn] of [
        ["restore:marker-written", false],
        ["restore:unpacked", false],
        ["restore:before-control", false],
        ["restore:control-written", false],
        ["bootstrap:restored", true],
        ["restore:recovery-started", true],
        ["bootstrap:recovered", true],
        ["bootstrap:before-report", true],
        ["bootstrap:report-written", true],
      ] as const) {
        expect(await killedAt(instance, step)).toMatchObject({ signal: "SIGKILL" });
        if (step === "restore:recovery-started") await untilServerRuns(instance);
        expect([step, await isThere(instance.folder.data)]).toEqual([step, false]);
        lab.activities.length = 0;
        const { recovery } = await instance.bootstrap();
        expect([step, restoring() === 0]).toEqual([step, goesOn]);
        expect(recovery).toMatchObject({ backupId: source.backupId, stopReason: "end of WAL" });
        expect([step, await attempts(instance)]).toEqual([step, []]);
        const server = await instance.serve();
        expect(await sqlOn(server, "SELECT count(*)::int AS n FROM t, in_own")).toEqual([{ n: 6 }]);
        await server.stop("fast");
        await forget(instance);
      }
    },
  );

  test("what a killed recovery left is removed when another one is wanted", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource(async (server) => {
      await server.sql(`CREATE TABLESPACE own LOCATION '${await server.folder.make("own")}'`);
    });
    const instance = await lab.instance("restored-1", source.bootstrap());
    const other: InstanceSpec = {
      ...instance.spec,
      bootstrap: source.bootstrap({ target: { kind: "name", name: source.restorePoint } }),
    };

    await killedAt(instance, "restore:recovery-started");
    await untilServerRuns(instance);
    await instance.bootstrap({ spec: other });

    const server = await instance.serve();
    expect(await sqlOn(server, "SELECT max(n) AS n FROM t")).toEqual([{ n: 4 }]);
    expect(await attempts(instance)).toEqual([]);
  });

  test("a server in recovery fetches WAL without us; where nobody saw how it ended, it is begun anew", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    // We have put the backup there as root; the server's user is another one.
    await run("chmod", ["-R", "a+rX", source.sample.directory]);
    const instance = await lab.instance("restored-1", source.bootstrap());

    await killedAt(instance, "restore:recovery-started");
    await expect
      .poll(async () => readFile(instance.folder.serverLog, "utf8"), { timeout: 120_000, interval: 200 })
      .toContain("archive recovery complete");
    const { recovery } = await instance.bootstrap();

    expect(recovery).toMatchObject({ stopReason: "end of WAL" });
    expect(lab.activities).toContain("removing what an interrupted bootstrap left");
    const server = await instance.serve();
    expect(await sqlOn(server, "SELECT count(*)::int AS n FROM t")).toEqual([{ n: 6 }]);
  });
});
