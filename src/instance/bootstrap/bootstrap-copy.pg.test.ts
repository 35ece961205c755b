import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RunningServer } from "../../postgres/server-running.ts";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import {
  bootstrapLab,
  newCluster,
  sqlOn,
  type BootstrapLab,
  type LabInstance,
} from "./testing/bootstrap-lab.ts";

type CopyBootstrap = Extract<InstanceBootstrap, { kind: "copy" }>;

const majors = majorsUnderTest().filter((major) => [13, 18].includes(major));
const small = { ...newCluster, walSegmentSizeMib: 1 };

function copyOf({ folder, spec }: LabInstance): CopyBootstrap {
  return { kind: "copy", host: spec.socketDirectory, port: spec.port, dataDirectory: folder.data };
}

async function originIn(lab: BootstrapLab): Promise<{ origin: LabInstance; running: RunningServer }> {
  const origin = await lab.instance("pg-1", small);
  await origin.bootstrap();
  return { origin, running: await origin.serve() };
}

/** Commits one number after the other until it is told to stop. */
class Writer {
  last = 0;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(server: RunningServer) {
    this.#ended = this.#run(server);
  }

  async #run(server: RunningServer): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await sqlOn(server, `INSERT INTO t VALUES (${this.last + 1}, md5('${this.last + 1}'))`);
      this.last++;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}

const upTo = (last: number) =>
  `SELECT count(*)::int AS rows, max(n) AS last, md5(string_agg(n || t, ',' ORDER BY n)) AS digest FROM t WHERE n <= ${last}`;
const state = `SELECT pg_is_in_recovery() AS standby, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline,
  (SELECT count(*)::int FROM pg_replication_slots) AS slots, (SELECT system_identifier::text FROM pg_control_system()) AS system`;

describe.each(majors)(
  "a copy of a running server of PostgreSQL %i that becomes a cluster of its own",
  (major) => {
    test("has what was committed up to its end, tablespaces included, and leaves its origin as it was", async () => {
      await using lab = await bootstrapLab(major);
      const { origin, running } = await originIn(lab);
      await sqlOn(running, `CREATE TABLESPACE fast LOCATION '${await lab.folder.make("space")}'`);
      await sqlOn(
        running,
        `CREATE TABLE t (n int PRIMARY KEY, t text) TABLESPACE fast; CREATE UNLOGGED TABLE u AS SELECT 1 AS n;
       CREATE TABLE bulk AS SELECT n, md5(n::text) AS t FROM generate_series(1, 50000) n`,
      );
      await sqlOn(running, "ALTER SYSTEM SET primary_conninfo = 'host=elsewhere'");
      const [before] = await sqlOn(running, state);
      const writer = new Writer(running);
      const seen = new Map<string, number>();
      const copy = await lab.instance("copy-1", {
        ...copyOf(origin),
        application: { database: "shop", owner: "keeper" },
      });

      const report = await copy.bootstrap({ onActivity: (activity) => seen.set(activity, writer.last) });
      await writer.stop();
      const server = await copy.serve();
      const [own] = await sqlOn<{ last: number }>(server, upTo(2_000_000_000));

      expect(report).toMatchObject({ kind: "copy" });
      // Everything that was committed before the backup's end, and nothing of what was begun after it.
      expect(own?.last).toBeGreaterThanOrEqual(seen.get("copying the primary") ?? 0);
      expect(own?.last).toBeLessThanOrEqual((seen.get("making the copy durable") ?? 0) + 1);
      expect(writer.last).toBeGreaterThan(own?.last ?? 0);
      expect([own]).toEqual(await sqlOn(running, upTo(own?.last ?? 0)));
      expect(await sqlOn(running, state)).toEqual([before]);
      expect(await sqlOn(server, state)).toEqual([{ ...before, timeline: 2 }]);
      expect(
        await sqlOn(
          server,
          "SELECT datname::text AS name, pg_get_userbyid(datdba)::text AS owner FROM pg_database WHERE datname = 'shop'",
        ),
      ).toEqual([{ name: "shop", owner: "keeper" }]);
      const [oid] = await readdir(join(copy.folder.data, "pg_tblspc"));
      expect(await readlink(join(copy.folder.data, "pg_tblspc", oid ?? ""))).toBe(
        join(copy.folder.tablespaces, "fast"),
      );
      const names = await readdir(copy.folder.data);
      expect(names.filter((name) => name.endsWith(".signal") || name === "backup_label")).toEqual([]);
      expect(await readFile(join(copy.folder.data, "postgresql.auto.conf"), "utf8")).not.toContain(
        "elsewhere",
      );
      expect(await readdir(join(copy.folder.root, "bootstrap"))).toEqual([]);

      await sqlOn(running, "INSERT INTO t VALUES (-1, 'origin')");
      await sqlOn(server, "INSERT INTO t VALUES (-2, 'copy')");
      const strays = "SELECT t FROM t WHERE n < 0";
      expect(await sqlOn(running, strays)).toEqual([{ t: "origin" }]);
      expect(await sqlOn(server, strays)).toEqual([{ t: "copy" }]);
    });
  },
);

describe("copying a cluster", () => {
  test("a copy of a copy knows all timelines behind it, and marks none of the WAL that it was given for its own archive", async () => {
    await using lab = await bootstrapLab();
    const { origin, running } = await originIn(lab);
    await sqlOn(running, "CREATE TABLE t AS SELECT 1 AS n");
    const first = await lab.instance("first-1", copyOf(origin));
    await first.bootstrap();
    await first.serve();
    const second = await lab.instance("second-1", copyOf(first));

    await second.bootstrap();
    const server = await second.serve();
    await sqlOn(server, "CHECKPOINT");
    const wal = join(second.folder.data, "pg_wal");
    const history = await readFile(join(wal, "00000003.history"), "utf8");
    const ready = (await readdir(join(wal, "archive_status"))).filter((name) => name.endsWith(".ready"));

    expect(await sqlOn(server, state)).toMatchObject([{ standby: false, timeline: 3, slots: 0 }]);
    const ancestors = history.split("\n").filter((line) => line !== "");
    expect(ancestors.map((line) => line.split("\t")[0])).toEqual(["1", "2"]);
    expect(ready.filter((name) => !name.startsWith("00000003"))).toEqual([]);
  });

  test("refuses a standby, and leaves nothing on either side", async () => {
    await using lab = await bootstrapLab();
    const { origin, running } = await originIn(lab);
    const { socketDirectory: host, port } = origin.spec;
    const standby = await lab.instance(
      "pg-2",
      { ...copyOf(origin), kind: "clone" },
      { role: { kind: "standby", host, port } },
    );
    await standby.bootstrap();
    const following = await standby.serve();
    const copy = await lab.instance("copy-1", copyOf(standby));

    await expect(copy.bootstrap()).rejects.toMatchObject({
      code: "postgres-failed",
      retryable: true,
      message: "the server to copy is a standby, not the primary any more",
    });
    const slots = "SELECT slot_name::text AS name FROM pg_replication_slots";
    expect(await sqlOn(following, slots)).toEqual([]);
    expect(await sqlOn(running, slots)).toEqual([{ name: "tidemark_pg_2" }]);
    expect(await readdir(join(copy.folder.root, "bootstrap"))).toEqual([]);
  });

  test("that is given up keeps no WAL on its origin, and goes on when it is wanted again", async () => {
    await using lab = await bootstrapLab();
    const { origin, running } = await originIn(lab);
    const copy = await lab.instance("copy-1", copyOf(origin));
    const stop = new AbortController();
    const slots = "SELECT count(*)::int AS n FROM pg_replication_slots";
    let during: Promise<object[]> | undefined;

    const given = copy.bootstrap({
      signal: stop.signal,
      onActivity: (activity) => {
        if (activity !== "copying the primary") return;
        during = sqlOn(running, slots);
        void during.finally(() => stop.abort());
      },
    });

    await expect(given).rejects.toMatchObject({ code: "aborted" });
    expect(await during).toEqual([{ n: 1 }]);
    await expect.poll(async () => sqlOn(running, slots), { timeout: 10_000 }).toEqual([{ n: 0 }]);
    expect(await readdir(join(copy.folder.root, "bootstrap"))).toEqual([]);
    expect(await copy.bootstrap()).toMatchObject({ kind: "copy" });
  });
});
