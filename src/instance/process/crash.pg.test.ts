import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../../common/errors.ts";
import { connect } from "../../postgres/connection.ts";
import { killTree, sendSignal } from "../../postgres/server-process-tree.ts";
import { instanceStage, type TestInstance } from "./testing/instance-stage.ts";

/** Writes rows as fast as it can, in sessions of its own, and counts those whose commit was acknowledged. */
function load({ spec }: TestInstance) {
  const stop = new AbortController();
  let next = 0;
  const acknowledged: number[] = [];
  const work = (async () => {
    while (!stop.signal.aborted) {
      try {
        const { socketDirectory: host, port } = spec;
        await using session = await connect({ host, port, user: "postgres", database: "app" });
        while (!stop.signal.aborted) {
          const id = next++;
          await session.query("INSERT INTO t SELECT $1::int, repeat(md5($1::int::text), 200)", [id]);
          acknowledged.push(id);
          if (id % 50 === 49) await session.query("SELECT pg_switch_wal()");
        }
      } catch (error) {
        // The server is gone for a moment.
        if (!isEngineError(error) || !error.retryable) throw error;
        await sleep(50);
      }
    }
  })();
  return {
    get count() {
      return acknowledged.length;
    },
    /** How many acknowledged rows there are; the load has ended then. */
    end: async () => {
      stop.abort();
      await work;
      return acknowledged;
    },
  };
}

/** With what a crash must not lose on disk. */
async function durable() {
  const stage = await instanceStage();
  const instance = await stage.instance({ parameters: { fsync: "on" } });
  const status = await instance.up();
  await instance.sql("CREATE TABLE t (id int, x text)");
  await instance.ask({ op: "backup", id: "b" });
  await instance.until(({ backups }) => backups[0]?.state === "completed");
  return { stage, instance, status };
}

async function expectAll(instance: TestInstance, ids: readonly number[]): Promise<void> {
  const rows = await instance.sql<{ id: number }>("SELECT id FROM t");
  const present = new Set(rows.map(({ id }) => id));
  expect(ids.filter((id) => !present.has(id))).toEqual([]);
}

/** Everything that is in the archive is what the server has. */
async function expectArchived({ stage, instance }: Awaited<ReturnType<typeof durable>>): Promise<void> {
  await instance.sql("SELECT pg_switch_wal()");
  await instance.until(
    ({ archiving }) => archiving?.waitingFiles === 0 && archiving.lastArchived !== undefined,
  );
  const rows = "SELECT count(*)::int AS n, sum(id)::int AS sum FROM t";
  expect(await stage.restored(rows)).toEqual(await instance.sql(rows));
}

describe("under load, the kill -9", () => {
  test("of the instance's process leaves the server running, which the next one takes up; no WAL is missing", async () => {
    const scene = await durable();
    const { instance, status } = scene;
    const writing = load(instance);
    for (let round = 0; round < 3; round++) {
      await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(100 * (round + 1));
      await instance.kill();
      const before = writing.count;
      await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(before + 20);
      const next = await instance.up();
      expect(next.postgres?.pid).toBe(status.postgres?.pid);
    }

    await expectAll(instance, await writing.end());
    await expectArchived(scene);
  });

  test("of the server makes the process start it again; no acknowledged row is lost", async () => {
    const scene = await durable();
    const { instance, status } = scene;
    const writing = load(instance);
    await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(100);

    sendSignal(status.postgres?.pid ?? 0, "SIGKILL");
    const failed = await instance.until(({ phase }) => phase === "failed");
    const running = await instance.until(
      ({ phase, postgres }) =>
        phase === "running" && postgres !== undefined && postgres.pid !== status.postgres?.pid,
    );
    const before = writing.count;
    await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(before + 20);

    expect(failed.error).toMatchObject({
      code: "postgres-failed",
      message: expect.stringContaining("ended with signal SIGKILL") as string,
    });
    expect(running).toMatchObject({ pid: status.pid, phase: "running" });
    expect(running.error).toBeUndefined();
    await expectAll(instance, await writing.end());
    await expectArchived(scene);
  });

  test("of both is survived as well", async () => {
    const scene = await durable();
    const { instance, status } = scene;
    const writing = load(instance);
    await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(100);

    await instance.kill();
    await killTree(status.postgres?.pid ?? 0);
    const before = writing.count;
    await instance.up();
    await expect.poll(() => writing.count, { timeout: 20_000 }).toBeGreaterThan(before + 20);

    await expectAll(instance, await writing.end());
    await expectArchived(scene);
  });
});
