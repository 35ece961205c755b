import { mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import { slotNameOf } from "../configuration/slot-name.ts";
import { writeConfiguration } from "../configuration/write-configuration.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import { dropCloneSlot } from "./clone-slot.ts";
import {
  bootstrapLab,
  newCluster,
  sqlOn,
  type BootstrapLab,
  type LabInstance,
} from "./testing/bootstrap-lab.ts";

const majors = majorsUnderTest().filter((major) => [13, 15, 17, 18].includes(major));

function cloneOf({ folder, spec }: LabInstance): InstanceBootstrap {
  return { kind: "clone", host: spec.socketDirectory, port: spec.port, dataDirectory: folder.data };
}

async function standbyOf(lab: BootstrapLab, primary: LabInstance, name = "pg-2"): Promise<LabInstance> {
  const { socketDirectory: host, port } = primary.spec;
  return lab.instance(name, cloneOf(primary), { role: { kind: "standby", host, port } });
}

const digest = `SELECT count(*)::int AS rows, md5(string_agg(n || ':' || t, ',' ORDER BY n)) AS digest FROM t`;

/** Waits until a standby has replayed what the primary has written by now. */
async function caughtUp(primary: RunningServer, standby: RunningServer): Promise<void> {
  const [at] = await sqlOn<{ lsn: string }>(primary, "SELECT pg_current_wal_lsn()::text AS lsn");
  for (let turn = 0; turn < 600; turn++) {
    const [row] = await sqlOn<{ done: boolean | null }>(
      standby,
      `SELECT pg_last_wal_replay_lsn() >= '${at!.lsn}' AS done`,
    );
    if (row?.done === true) return;
    await setTimeout(50);
  }
  throw new Error(`the standby has not caught up; its log: ${(await standby.logTail()).join("\n")}`);
}

describe.each(majors)("a copy of a running server of PostgreSQL %i", (major) => {
  test("streams from it, with all its data, tablespaces included, although it was written to meanwhile", async () => {
    await using lab = await bootstrapLab(major);
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    const space = await lab.folder.make("space");
    await sqlOn(running, `CREATE TABLESPACE "fast disk" LOCATION '${space}'`);
    await sqlOn(
      running,
      `CREATE TABLE t TABLESPACE "fast disk" AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n;
       CREATE UNLOGGED TABLE u AS SELECT 1 AS n`,
    );
    const stop = new AbortController();
    const writing = writeUntil(running, stop.signal);
    const standby = await standbyOf(lab, primary);

    expect(await standby.bootstrap()).toMatchObject({ kind: "clone" });
    const copy = await standby.serve();
    stop.abort();
    await writing;
    await caughtUp(running, copy);

    expect(await sqlOn(copy, digest)).toEqual(await sqlOn(running, digest));
    expect(await sqlOn(copy, "SELECT pg_is_in_recovery() AS standby")).toEqual([{ standby: true }]);
    expect(
      await sqlOn(
        running,
        `SELECT application_name AS name, state, (SELECT slot_name::text FROM pg_replication_slots WHERE active) AS slot
           FROM pg_stat_replication`,
      ),
    ).toEqual([{ name: "pg-2", state: "streaming", slot: slotNameOf("pg-2") }]);
    const [oid] = await readdir(join(standby.folder.data, "pg_tblspc"));
    // The name is no plain one for a directory.
    expect(await readlink(join(standby.folder.data, "pg_tblspc", oid!))).toBe(
      join(standby.folder.tablespaces, oid!),
    );
    expect(await readdir(join(standby.folder.tablespaces, oid!))).toEqual([
      expect.stringMatching(/^PG_/) as string,
    ]);
    expect(await readdir(join(standby.folder.root, "bootstrap"))).toEqual([]);
  });
});

/** Commits, and makes and drops tables, until told to stop. */
async function writeUntil(server: RunningServer, signal: AbortSignal): Promise<void> {
  for (let n = 1_000_000; !signal.aborted; n++) {
    await sqlOn(
      server,
      `INSERT INTO t VALUES (${n}, 'late');
       CREATE TABLE passing AS SELECT generate_series(1, 5000) AS x; DROP TABLE passing`,
    );
  }
}

describe("copying a server", () => {
  test("takes nothing over of what the copied one was told by ALTER SYSTEM to follow", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    await sqlOn(running, "ALTER SYSTEM SET primary_conninfo = 'host=elsewhere'");
    await sqlOn(running, "ALTER SYSTEM SET work_mem = '7MB'");
    const standby = await standbyOf(lab, primary);

    await standby.bootstrap();

    const auto = await readFile(join(standby.folder.data, "postgresql.auto.conf"), "utf8");
    expect(auto).toContain("work_mem");
    expect(auto).not.toContain("elsewhere");
  });

  test("is refused when somebody else listens there, and leaves nothing", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    await primary.serve();
    const other = await lab.instance("other", newCluster);
    const standby = await lab.instance("pg-2", {
      ...(cloneOf(primary) as Extract<InstanceBootstrap, { kind: "clone" }>),
      dataDirectory: other.folder.data,
    });

    await expect(standby.bootstrap()).rejects.toMatchObject({
      code: "config",
      message: `the server to copy should be on "${other.folder.data}", but the one on port ${primary.spec.port} is on "${primary.folder.data}"`,
    });
    expect(await readdir(join(standby.folder.root, "bootstrap"))).toEqual([]);
  });

  test("is refused over a tablespace's directory that holds something, which stays", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    await sqlOn(running, `CREATE TABLESPACE fast LOCATION '${await lab.folder.make("space")}'`);
    const standby = await standbyOf(lab, primary);
    const taken = join(standby.folder.tablespaces, "fast");
    await mkdir(taken, { recursive: true });
    await writeFile(join(taken, "notes.txt"), "somebody's");

    await expect(standby.bootstrap()).rejects.toMatchObject({ code: "target-directory" });
    expect(await readdir(taken)).toEqual(["notes.txt"]);
  });

  test("gives up when the server that is copied stops, and succeeds when it is back", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    const standby = await standbyOf(lab, primary);

    const failed = standby.bootstrap({
      onActivity: (activity) => {
        if (activity === "copying the primary") void running.stop("immediate");
      },
    });
    await expect(failed).rejects.toMatchObject({ code: "postgres-failed", retryable: true });
    expect(await readdir(join(standby.folder.root, "bootstrap"))).toEqual([]);

    await primary.serve();
    await standby.bootstrap();
    expect(await readdir(standby.folder.data)).toContain("standby.signal");
  });

  test("keeps WAL for the copy until its slot is dropped, which can be repeated", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster);
    await primary.bootstrap();
    const running = await primary.serve();
    const standby = await standbyOf(lab, primary);
    await standby.bootstrap();
    const slots = async () =>
      sqlOn(
        running,
        "SELECT slot_name::text AS name, restart_lsn IS NOT NULL AS keeps FROM pg_replication_slots",
      );
    const drop = async () =>
      dropCloneSlot({
        host: primary.spec.socketDirectory,
        port: primary.spec.port,
        instance: "pg-2",
        clock: systemClock,
        signal: new AbortController().signal,
      });

    expect(await slots()).toEqual([{ name: "tidemark_pg_2", keeps: true }]);
    const copy = await standby.serve();
    await caughtUp(running, copy);
    const dropped = drop();
    await setTimeout(500);
    await copy.stop("fast");

    expect(await dropped).toBe(true);
    expect(await slots()).toEqual([]);
    expect(await drop()).toBe(false);
  });

  test("a standby goes on when its primary's limits were raised, with the limits that its control file asks for", async () => {
    await using lab = await bootstrapLab();
    const primary = await lab.instance("pg-1", newCluster, { parameters: { max_connections: "30" } });
    await primary.bootstrap();
    const running = await primary.serve();
    const standby = await standbyOf(lab, primary);
    await standby.bootstrap();

    const { raised } = await writeConfiguration({
      folder: standby.folder,
      spec: standby.spec,
      clock: systemClock,
      signal: new AbortController().signal,
    });
    const copy = await standby.serve();
    await caughtUp(running, copy);

    expect(raised).toMatchObject({ max_connections: "30" });
    expect(await sqlOn(copy, "SHOW max_connections")).toEqual([{ max_connections: "30" }]);
  });
});
