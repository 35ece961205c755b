import { describe, expect, test } from "vitest";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import { instanceStage, type InstanceStage, type TestInstance } from "./testing/instance-stage.ts";

const roleBehind = ({ spec }: TestInstance) =>
  ({ kind: "standby", host: spec.socketDirectory, port: spec.port }) as const;

/** A copy of an instance that follows it. */
async function standbyOf(stage: InstanceStage, primary: TestInstance, name: string): Promise<TestInstance> {
  const { socketDirectory: host, port, major } = primary.spec;
  return stage.instance({
    name,
    major,
    role: { kind: "standby", host, port },
    bootstrap: { kind: "clone", host, port, dataDirectory: primary.folder.data },
  });
}

const streams = ({ postgres }: Awaited<ReturnType<TestInstance["status"]>>) =>
  postgres?.role === "standby" && postgres.replication.some(({ state }) => state === "streaming");

const count = "SELECT count(*)::int AS n FROM t";

describe.each(majorsUnderTest())("standbys of PostgreSQL %i", (major) => {
  test("stream from their primary; one is promoted and archives on a new timeline, and the others follow it", async () => {
    const stage = await instanceStage();
    const primary = await stage.instance({ major });
    await primary.up();
    await primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    const second = await standbyOf(stage, primary, "pg-2");
    const third = await standbyOf(stage, primary, "pg-3");
    await second.up();
    await third.up();
    await second.until(streams);
    await third.until(streams);
    const leading = await primary.until(({ postgres }) => postgres?.replication.length === 2);
    expect(leading.postgres?.replication.map(({ name }) => name)).toEqual(["pg-2", "pg-3"]);

    // A planned switchover: the primary stops, and has sent everything by then.
    await primary.respecify({ wanted: "stopped" });
    await primary.until(({ phase }) => phase === "stopped");
    await Promise.all([second.ask({ op: "promote" }), second.ask({ op: "promote" })]);
    await second.ask({ op: "promote" });
    await second.sql("INSERT INTO t VALUES (0)");
    const promoted = await second.status();
    // Nobody has told it yet that it is the primary: that may not make it a standby again.
    await second.kill();
    await second.up();
    expect((await second.status()).postgres?.role).toBe("primary");
    await second.respecify({ role: { kind: "primary" } });
    await third.respecify({ role: roleBehind(second) });
    await primary.respecify({ role: roleBehind(second), wanted: "running" });
    await primary.until(streams);
    await third.until(streams);
    await second.sql("INSERT INTO t VALUES (-1)");
    await second.sql("SELECT pg_switch_wal()");

    expect(promoted.postgres).toMatchObject({ role: "primary", timeline: 2 });
    for (const standby of [primary, third]) {
      await expect.poll(async () => standby.sql(count), { timeout: 20_000 }).toEqual([{ n: 1002 }]);
      // What a status says may be a second old.
      const { postgres } = await standby.until((status) => status.postgres?.timeline === 2);
      expect(postgres).toMatchObject({ role: "standby", timeline: 2, pendingRestart: false });
    }
    const slots = "SELECT slot_name AS name FROM pg_replication_slots WHERE active ORDER BY 1";
    expect(await second.sql(slots)).toEqual([{ name: "tidemark_pg_1" }, { name: "tidemark_pg_3" }]);
    // Those of a primary would keep WAL for ever.
    expect(await primary.sql("SELECT slot_name FROM pg_replication_slots")).toEqual([]);
    // A standby's last restart point may lie on the timeline before.
    for (const server of [third, second]) {
      await server.ask({ op: "backup", id: "b" });
      const { backups } = await server.until((status) => status.backups[0]?.state !== "running");
      expect(backups[0]).toMatchObject({ state: "completed", result: { timeline: 2 } });
    }
    await second.until(({ archiving }) => archiving?.waitingFiles === 0);
    expect((await second.status()).archiving?.refused).toEqual([]);
    expect(await stage.restored(count)).toEqual([{ n: 1002 }]);
  });
});

describe("a standby", () => {
  test("is backed up with the help of its primary", async () => {
    const stage = await instanceStage();
    const primary = await stage.instance();
    await primary.up();
    await primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    const standby = await standbyOf(stage, primary, "pg-2");
    await standby.up();
    await standby.until(streams);

    await standby.ask({ op: "backup", id: "b" });
    const { backups } = await standby.until((status) => status.backups[0]?.state !== "running");

    expect(backups[0]).toMatchObject({ state: "completed" });
    expect(await stage.restored(count)).toEqual([{ n: 1000 }]);
  });

  test("is promoted after its primary was killed, and what was a primary that crashed does not start beside it", async () => {
    const stage = await instanceStage();
    const primary = await stage.instance();
    await primary.up();
    await primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    const standby = await standbyOf(stage, primary, "pg-2");
    await standby.up();
    await standby.until(streams);
    await expect.poll(async () => standby.sql(count), { timeout: 20_000 }).toEqual([{ n: 1000 }]);
    await primary.ask({ op: "stop", mode: "immediate" });

    await standby.ask({ op: "promote" });
    await standby.sql("INSERT INTO t VALUES (0)");
    await primary.respecify({ role: roleBehind(standby) });
    await primary.spawn();
    const refused = await primary.until(({ phase }) => phase === "failed");

    expect((await standby.status()).postgres).toMatchObject({ role: "primary", timeline: 2 });
    expect(refused.error).toMatchObject({
      code: "standby-diverged",
      message:
        'instance "pg-1" is to be a standby, but was a primary that did not shut down cleanly: pg_control says "in production"',
    });
  });
});
