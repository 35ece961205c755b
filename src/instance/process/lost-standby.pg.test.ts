import { rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { describeError } from "../../common/errors.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import { sendSignal } from "../../postgres/server-process-tree.ts";
import { adoptServer } from "../../postgres/server.ts";
import type { InstanceStatus } from "../instance-status.ts";
import { instanceStage, type InstanceStage, type TestInstance } from "./testing/instance-stage.ts";

const streams = ({ postgres }: InstanceStatus) =>
  postgres?.role === "standby" && postgres.replication.some(({ state }) => state === "streaming");
const rows = "SELECT count(*)::int AS n FROM t";

/** A primary that keeps no more WAL than it must, and a standby that streams from it. */
async function pair(): Promise<InstanceStage & { primary: TestInstance; standby: TestInstance }> {
  const stage = await instanceStage();
  const parameters = { min_wal_size: "2MB", max_wal_size: "2MB", wal_retrieve_retry_interval: "200ms" };
  const primary = await stage.instance({ parameters });
  await primary.up();
  await primary.sql("CREATE TABLE t (id int)");
  const { socketDirectory: host, port } = primary.spec;
  const standby = await stage.instance({
    name: "pg-2",
    parameters,
    role: { kind: "standby", host, port },
    bootstrap: { kind: "clone", host, port, dataDirectory: primary.folder.data },
  });
  await standby.up();
  await standby.until(streams);
  return { ...stage, primary, standby };
}

/** So many rows, each in a segment of its own. */
async function write(primary: TestInstance, count: number): Promise<void> {
  for (let row = 0; row < count; row++) {
    await primary.sql("INSERT INTO t VALUES (1)");
    await primary.sql("SELECT pg_switch_wal()");
  }
}

/** The standby is away, nobody keeps WAL for it, and the primary forgets what it wrote meanwhile. */
async function missWal(primary: TestInstance, standby: TestInstance): Promise<void> {
  await standby.respecify({ wanted: "stopped" });
  await standby.until(({ phase }) => phase === "stopped");
  await primary.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
  await write(primary, 5);
  if (primary.spec.archive !== undefined) {
    await primary.until(({ archiving }) => archiving?.waitingFiles === 0);
  }
  await primary.sql("CHECKPOINT");
  await primary.sql("CHECKPOINT");
  await standby.respecify({ wanted: "running" });
}

test("a standby whose primary has removed the WAL that it needs has it from the archive; without one it says so", async () => {
  const { primary, standby } = await pair();

  await missWal(primary, standby);
  await standby.until(streams);
  await expect.poll(async () => standby.sql(rows), { timeout: 20_000 }).toEqual([{ n: 5 }]);
  expect((await standby.status()).trouble).toBeUndefined();

  await primary.respecify({ archive: undefined });
  await standby.respecify({ archive: undefined });
  await missWal(primary, standby);
  const { trouble } = await standby.until((status) => status.trouble?.kind === "wal-removed");

  expect(trouble?.message).toMatch(/requested WAL segment \w+ has already been removed/);
});

test("a standby whose slot was dropped gets another one", async () => {
  const { primary, standby } = await pair();
  const receiver = await standby.sql<{ pid: number }>("SELECT pid FROM pg_stat_wal_receiver");

  // The standby may have been faster, and have it in use again.
  const drop =
    "SELECT pg_terminate_backend(active_pid, 5000), pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
  await expect
    .poll(async () => primary.sql(drop).then(({ length }) => length, describeError), { timeout: 10_000 })
    .toBe(1);
  await standby.until((status) => !streams(status));
  await standby.until(streams);

  expect(await standby.sql("SELECT pid FROM pg_stat_wal_receiver")).not.toEqual(receiver);
  expect(await primary.sql("SELECT active FROM pg_replication_slots")).toEqual([{ active: true }]);
});

test("a standby that somebody promoted, and that is made one again, says that it has diverged", async () => {
  const { primary, standby } = await pair();
  await standby.sql("SELECT pg_promote()");
  await write(standby, 1);

  await standby.ask({ op: "restart" });
  const { trouble, postgres } = await standby.until((status) => status.trouble?.kind === "diverged");

  expect(postgres).toMatchObject({ role: "standby", replication: [] });
  expect(trouble?.message).toMatch(/is behind recovery timeline|not in this server's history|forked off/);
  expect(streams(await primary.status())).toBe(false);
});

test("what a primary had committed and not sent is replayed by its standby, and archived, whatever is killed meanwhile", async () => {
  const { primary, standby, restored } = await pair();
  await primary.ask({ op: "backup", id: "b" });
  await primary.until(({ backups }) => backups[0]?.state === "completed");
  await write(primary, 2);
  await expect.poll(async () => standby.sql(rows), { timeout: 20_000 }).toEqual([{ n: 2 }]);
  const [receiver] = await standby.sql<{ pid: number }>("SELECT pid FROM pg_stat_wal_receiver");
  sendSignal(receiver!.pid, "SIGSTOP");
  // Its agent first: what it writes now is neither sent nor archived.
  await primary.kill();
  await write(primary, 4);
  await primary.sql("INSERT INTO t VALUES (1)");
  await (await adoptServer({ dataDirectory: primary.folder.data }))?.kill();
  sendSignal(receiver!.pid, "SIGCONT");
  const control = join(primary.folder.data, "global/pg_control");
  await rename(control, `${control}.lost`);
  const order = { op: "rescue", key: "1", dataDirectory: primary.folder.data } as const;

  onTestFinished(() => void delete process.env["TIDEMARK_FAULT_POINT"]);
  for (const step of ["rescue:collected", "rescue:done"]) {
    await standby.kill();
    process.env["TIDEMARK_FAULT_POINT"] = step;
    await standby.up();
    await standby.ask(order).catch(() => undefined);
    await expect.poll(async () => standby.status().catch(() => undefined)).toBeUndefined();
    delete process.env["TIDEMARK_FAULT_POINT"];
  }
  await standby.up();
  // Where nothing can be read, what it has itself is brought to the archive.
  await standby.ask({ ...order, key: "0", dataDirectory: join(primary.folder.root, "gone") });
  const failed = await standby.until(
    (status) => status.rescue?.key === "0" && status.rescue.state !== "running",
  );
  expect(failed.rescue).toMatchObject({ state: "failed", message: expect.stringMatching(/no such file/) });
  await standby.until((status) => status.rescue?.waitingFiles === 0);
  await standby.ask(order);
  const { rescue } = await standby.until((status) => {
    const end = status.rescue?.endLsn;
    return end !== undefined && parseLsn(status.postgres?.lsn ?? "0/0") >= parseLsn(end);
  });
  expect(rescue).toMatchObject({ key: "1", state: "done" });
  await standby.ask({ op: "promote" });
  await standby.respecify({ role: { kind: "primary" } });
  await standby.sql("INSERT INTO t VALUES (1)");
  await standby.sql("SELECT pg_switch_wal()");
  await standby.until((status) => status.rescue === undefined && status.archiving?.waitingFiles === 0);

  expect(await standby.sql(rows)).toEqual([{ n: 8 }]);
  expect(await restored(rows)).toEqual([{ n: 8 }]);
});
