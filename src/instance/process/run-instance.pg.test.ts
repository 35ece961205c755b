import { readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { isAlive, sendSignal } from "../../postgres/server-process-tree.ts";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import { clusterState } from "../../postgres/server-state.ts";
import { readInstanceStatus } from "./instance-client.ts";
import { instanceStage, quickly, type TestInstance } from "./testing/instance-stage.ts";

const gone = async (pid: number) => vi.waitFor(async () => expect(await isAlive(pid)).toBe(false), quickly);

async function serverPid(instance: TestInstance): Promise<number | undefined> {
  const state = await clusterState(instance.folder.data);
  return state.kind === "running" ? state.file.pid : undefined;
}

describe.each(majorsUnderTest())("an instance of PostgreSQL %i", (major) => {
  test("comes from its instance.json to a server that runs and archives", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance({ major });

    const status = await instance.up();
    await instance.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    await instance.sql("SELECT pg_switch_wal()");
    const archived = await instance.until(({ archiving }) => archiving?.lastArchived !== undefined);

    expect(status).toMatchObject({
      specVersion: 1,
      phase: "running",
      bootstrapped: true,
      postgres: {
        pid: await serverPid(instance),
        role: "primary",
        timeline: 1,
        pendingRestart: false,
        replication: [],
      },
      backups: [],
    });
    expect(status.error).toBeUndefined();
    expect(archived.archiving?.repositories).toMatchObject([{ name: "main", state: "ok" }]);
    expect((await stat(instance.folder.process)).mode & 0o777).toBe(0o600);
    expect((await stat(instance.folder.processLog)).mode & 0o777).toBe(0o600);
  });
});

describe("the process of an instance", () => {
  test("leaves the server running when it is told to end, and the next one takes it up", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const first = await instance.up();

    sendSignal(first.pid, "SIGTERM");
    await gone(first.pid);
    expect(await readInstanceStatus(instance.folder.root)).toBeUndefined();
    await instance.sql("CREATE TABLE t (x int)");
    const second = await instance.up();

    expect(second.pid).not.toBe(first.pid);
    expect(second.postgres?.pid).toBe(first.postgres?.pid);
    expect(await instance.processLog()).not.toContain('"level":"error"');
  });

  test("ends the server and then itself when it is asked to stop, and what was written is archived by then", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { pid, postgres } = await instance.up();
    await instance.ask({ op: "backup", id: "b" });
    await instance.until(({ backups }) => backups[0]?.state === "completed");
    await instance.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");

    await instance.ask({ op: "stop", mode: "fast" });

    expect(await isAlive(postgres?.pid ?? 0)).toBe(false);
    await gone(pid);
    expect(await stage.restored("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 1000 }]);
  });

  test("is alone in its folder", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { pid } = await instance.up();

    await expect(instance.spawn()).rejects.toMatchObject({
      code: "agent-unreachable",
      message: expect.stringContaining(`another process (${pid}) serves the instance in`) as string,
      details: { exitStatus: 56 },
    });
    expect((await instance.status()).pid).toBe(pid);
  });

  test("is alone also when two begin in the same moment", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();

    const started = await Promise.allSettled([instance.spawn(), instance.spawn(), instance.spawn()]);

    expect(started.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    expect((await instance.until(({ phase }) => phase === "running")).error).toBeUndefined();
  });

  test("holds up no smart stop with sessions of its own", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { postgres } = await instance.up();
    const startedMs = performance.now();

    await instance.ask({ op: "stop", mode: "smart" });

    expect(await isAlive(postgres?.pid ?? 0)).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect(await readFile(instance.folder.serverLog, "utf8")).toContain("received smart shutdown request");
    expect(await readFile(instance.folder.serverLog, "utf8")).not.toContain("immediate");
  });

  test("does not begin with a damaged specification, and goes on with the last good one", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const whole = await readFile(instance.folder.spec, "utf8");
    await instance.writeSpec("{");
    await expect(instance.spawn()).rejects.toMatchObject({
      message: expect.stringContaining(`could not read "${instance.folder.spec}"`) as string,
      details: { exitStatus: 3 },
    });
    await instance.writeSpec(whole);
    const { postgres } = await instance.up();

    await instance.writeSpec(whole.slice(0, -10));
    await expect(instance.ask({ op: "configure" })).rejects.toMatchObject({
      code: "config",
      message: `could not read "${instance.folder.spec}": it is not JSON`,
    });

    expect(await instance.status()).toMatchObject({
      phase: "running",
      specVersion: 1,
      postgres: { pid: postgres?.pid },
    });
  });

  test("keeps why the data directory could not be made, and makes it when it is told how", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { bootstrap } = instance.spec;
    if (bootstrap.kind !== "initdb") throw new Error("another bootstrap");
    await instance.respecify({ bootstrap: { ...bootstrap, postInitSql: ["SELECT 1", "SELEC 'secret'"] } });
    await instance.spawn();

    const failed = await instance.until(({ phase }) => phase === "failed");
    await instance.respecify({ bootstrap });
    const running = await instance.until(({ phase }) => phase === "running");

    expect(failed).toMatchObject({
      bootstrapped: false,
      error: { code: "postgres-failed", message: expect.stringContaining("postInitSQL") as string },
      retryAt: expect.any(String) as string,
    });
    expect(JSON.stringify(failed)).not.toContain("secret");
    expect(await instance.processLog()).not.toContain("secret");
    expect(running.error).toBeUndefined();
    expect(running.retryAt).toBeUndefined();
  });

  test("says why nothing is archived, and archives when that is put right", async () => {
    const stage = await instanceStage();
    const first = await stage.instance();
    await first.up();
    await first.until(({ archiving }) => archiving !== undefined);
    await first.sql("SELECT pg_switch_wal()");
    await first.until(({ archiving }) => archiving?.lastArchived !== undefined);
    const other = await stage.instance({ name: "pg-2" });
    await other.up();

    const refused = await other.until(({ archivingError }) => archivingError !== undefined);
    const { archive } = other.spec;
    await other.respecify({ archive: archive && { ...archive, server: "other" } });
    await other.sql("SELECT pg_switch_wal()");
    const archiving = await other.until((status) => status.archiving?.lastArchived !== undefined);

    expect(refused.archivingError?.code).toBe("object-exists");
    expect(refused.phase).toBe("running");
    expect(archiving.archivingError).toBeUndefined();
  });
});

describe("a bootstrap", () => {
  test("whose process is killed again and again comes to its end", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    for (let round = 0; round < 4; round++) {
      await instance.spawn();
      await sleep(250 * round);
      await instance.kill();
    }

    const { phase } = await instance.up();

    expect(phase).toBe("running");
    expect(await instance.sql("SELECT current_database() AS name")).toEqual([{ name: "app" }]);
  });

  test("by recovery shows its plan, and where it ended, also to whoever asks much later", async () => {
    const stage = await instanceStage();
    const origin = await stage.instance();
    await origin.up();
    await origin.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    await origin.ask({ op: "backup", id: "b" });
    await origin.until(({ backups }) => backups[0]?.state === "completed");
    const { archive } = origin.spec;
    if (archive === undefined) throw new Error("there is no archive");
    const recovery = {
      kind: "recovery",
      server: "pg",
      repositories: archive.repositories,
      backup: "auto",
      timeline: "latest",
      target: { kind: "time", time: "2001-01-01 00:00:00.000000+00:00", inclusive: true },
      tablespaces: {},
    } as const;
    const copy = await stage.instance({
      name: "pg-2",
      bootstrap: recovery,
      archive: { ...archive, server: "copy" },
    });

    await copy.spawn();
    const refused = await copy.until(({ phase }) => phase === "failed");
    await copy.respecify({ bootstrap: { ...recovery, target: { kind: "latest" } } });
    await copy.until(({ phase }) => phase === "running");
    await copy.kill();
    const running = await copy.up();

    expect(refused).toMatchObject({ bootstrapped: false, error: { code: "target-unreachable" } });
    const pauseMs = Date.parse(refused.retryAt ?? "") - Date.now();
    expect(pauseMs).toBeLessThan(60_000);
    expect(pauseMs).toBeGreaterThan(30_000);
    expect(running.recovery).toMatchObject({
      plan: expect.arrayContaining([expect.any(String)]) as string[],
      backupId: expect.stringMatching(/^\d{8}T\d{6}$/) as string,
      stopReason: "end of WAL",
    });
    expect(running.postgres).toMatchObject({ role: "primary", timeline: 2 });
    expect(await copy.sql("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 1000 }]);
    await copy.sql("INSERT INTO t VALUES (0)");
    await copy.sql("SELECT pg_switch_wal()");
    const archived = await copy.until(({ archiving }) => archiving?.lastArchived !== undefined);
    expect(archived.archiving?.repositories).toMatchObject([{ server: "copy", state: "ok" }]);
    await copy.ask({ op: "backup", id: "b" });
    await copy.until(({ backups }) => backups[0]?.state === "completed");
    await copy.sql("INSERT INTO t VALUES (-1)");
    await copy.ask({ op: "stop", mode: "fast" });
    expect(await stage.restored("SELECT count(*)::int AS n FROM t", "copy")).toEqual([{ n: 1002 }]);
  });
});
