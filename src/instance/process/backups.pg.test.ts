import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mib } from "../../common/units.ts";
import { instanceStage } from "./testing/instance-stage.ts";

/** Long enough under way to be met there. */
const slowly = { name: "main", maxBytesPerSecond: mib };

describe("a base backup on request", () => {
  test("is taken once for its ID, completed, and restores to the same rows; its job stays until it is forgotten", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    await instance.up();
    await instance.sql("CREATE TABLE t AS SELECT id, md5(id::text) AS sum FROM generate_series(1, 20000) id");

    await instance.ask({ op: "backup", id: "b-1", name: "by-hand" });
    await instance.ask({ op: "backup", id: "b-1" });
    const { backups } = await instance.until((status) => status.backups[0]?.state !== "running");
    const [job] = backups;
    await instance.sql("INSERT INTO t VALUES (0, 'after the backup')");
    await instance.sql("SELECT pg_switch_wal()");
    await instance.until(({ archiving }) => archiving?.waitingFiles === 0);

    expect(job).toMatchObject({
      id: "b-1",
      state: "completed",
      phase: "done",
      backupId: expect.stringMatching(/^\d{8}T\d{6}$/) as string,
      result: { timeline: 1, damagedPages: 0, beginWal: expect.stringMatching(/^0{7}1/) as string },
    });
    expect(job?.result?.storedBytes).toBeGreaterThan(mib);
    expect(backups).toHaveLength(1);
    const rows = "SELECT count(*)::int AS n, md5(string_agg(sum, ',' ORDER BY id)) AS digest FROM t";
    expect(await stage.restored(rows)).toEqual(await instance.sql(rows));

    await instance.kill();
    await instance.up();
    expect((await instance.status()).backups).toEqual(backups);
    await instance.ask({ op: "forget-backup", id: "b-1" });
    expect((await instance.status()).backups).toEqual([]);
  });

  test("goes into each store in the form that it wants, and says which one does not have it", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { archive } = instance.spec;
    if (archive === undefined) throw new Error("there is no archive");
    const second = await stage.folder.make("second");
    const third = await stage.folder.make("third");
    await instance.respecify({
      archive: {
        ...archive,
        policy: 1,
        walCompression: "zstd",
        backupCompression: "zstd",
        repositories: [
          { name: "main", url: stage.store },
          { name: "second", url: second, compression: { wal: "gzip", base: "none" } },
          { name: "third", url: third },
        ],
      },
    });
    await instance.up();
    await instance.sql("SELECT pg_switch_wal()");
    await instance.until(({ archiving }) => archiving?.lastArchived !== undefined);
    // Nobody can write there, and what is in the way is no directory.
    await rm(third, { recursive: true });
    await writeFile(third, "");

    await instance.ask({ op: "backup", id: "b-1" });
    const { backups } = await instance.until((status) => status.backups[0]?.state !== "running");

    expect(backups[0]).toMatchObject({ state: "completed", result: { missing: [{ name: "third" }] } });
    const stored = await readdir(join(second, "pg"), { recursive: true });
    expect(stored.some((path) => path.endsWith("data.tar"))).toBe(true);
    expect(stored.some((path) => /wals\/.*\.gz$/.test(path))).toBe(true);
    expect(stored.some((path) => path.endsWith(".zst"))).toBe(false);
  });

  test("whose process was killed is found as failed by the next one, which can take another", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { archive } = instance.spec;
    if (archive === undefined) throw new Error("there is no archive");
    const slow = {
      ...archive,
      repositories: [{ ...slowly, url: stage.store }],
      backupCompression: "none" as const,
    };
    await instance.respecify({ archive: slow });
    await instance.up();
    await instance.ask({ op: "backup", id: "b-1" });
    const copying = await instance.until(({ backups }) => backups[0]?.backupId !== undefined);
    await expect(instance.ask({ op: "backup", id: "b-2" })).rejects.toMatchObject({ code: "locked" });
    await expect(instance.ask({ op: "forget-backup", id: "b-1" })).rejects.toMatchObject({ code: "locked" });

    await instance.kill();
    await instance.respecify({ archive });
    await instance.up();
    const found = await instance.status();
    await instance.ask({ op: "backup", id: "b-2" });
    const { backups } = await instance.until((status) => status.backups[1]?.state !== "running");

    expect(copying.backups[0]).toMatchObject({
      state: "running",
      backupId: expect.any(String) as string,
    });
    expect(found.backups[0]).toMatchObject({
      id: "b-1",
      state: "failed",
      error: { code: "aborted", message: "instance manager was restarted during backup on instance pg-1" },
    });
    expect(backups[1]).toMatchObject({ id: "b-2", state: "completed" });
  });

  test("fails with the reason when the server is stopped meanwhile, or there is no archive", async () => {
    const stage = await instanceStage();
    const instance = await stage.instance();
    const { archive } = instance.spec;
    if (archive === undefined) throw new Error("there is no archive");
    const slow = {
      ...archive,
      repositories: [{ ...slowly, url: stage.store }],
      backupCompression: "none" as const,
    };
    await instance.respecify({ archive: slow });
    await instance.up();

    await instance.ask({ op: "backup", id: "b-1" });
    await instance.until(({ backups }) => backups[0]?.backupId !== undefined);
    await instance.respecify({ wanted: "stopped" });
    const stopped = await instance.until(({ backups }) => backups[0]?.state === "failed");
    await instance.until(({ phase }) => phase === "stopped");
    await instance.ask({ op: "backup", id: "b-2" });
    const refused = await instance.until(({ backups }) => backups[1]?.state === "failed");

    expect(stopped.backups[0]?.error?.message).toBe('the server of instance "pg-1" was stopped');
    expect(refused.backups[1]?.error?.message).toBe('instance "pg-1" does not accept connections');
  });
});
