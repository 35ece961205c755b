import { lstat, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { testFolder } from "../postgres/testing/test-server.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import { parseControlFile } from "../postgres/control-file.ts";
import { majorFacts } from "../postgres/majors.ts";
import { backupLab, serveRestored, unpackByHand } from "./testing/backup-lab.ts";

const run = promisify(execFile);

describe("what a base backup reads", () => {
  it("holds every table of its tablespaces in archives of their own", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    const location = await folder.make("space");
    await lab.server.sql(`CREATE TABLESPACE space LOCATION '${location}'`);
    await lab.server.sql(
      "CREATE TABLE far TABLESPACE space AS SELECT i, md5(i::text) AS note FROM generate_series(1, 100000) i",
    );
    const [space] = await lab.server.sql<{ oid: number }>(
      "SELECT oid::int FROM pg_tablespace WHERE spcname = 'space'",
    );
    const oid = space?.oid ?? 0;

    const { id, info, manifest } = await lab.backUp();
    const target = await folder.make("restored");
    const moved = await folder.make("moved");
    await unpackByHand(lab, id, target, { [oid]: moved });
    await using restored = await serveRestored(lab, folder, target);

    expect(info.tablespaces).toEqual([{ oid, name: "space", location }]);
    expect(manifest.parts.map(({ name }) => name)).toContain(`${oid}.tar.zst`);
    expect(await readdir(moved)).toEqual([
      `PG_${lab.server.major}_${majorFacts[lab.server.major].catalogVersion}`,
    ]);
    expect(await restored.sql("SELECT count(*)::int FROM far")).toEqual([{ count: 100_000 }]);
  });

  it("holds a tablespace that is made after the command began and before the backup starts", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    const location = await folder.make("late");
    await using connection = await lab.server.connect();
    const late = around(connection, {
      before: async (sql) => {
        if (!/pg_(backup_start|start_backup)\(/.test(sql)) return;
        await lab.server.sql(`CREATE TABLESPACE late LOCATION '${location}'`);
        await lab.server.sql("CREATE TABLE far TABLESPACE late AS SELECT 1 AS n");
      },
    });

    const { info, manifest } = await lab.backUp({}, { connection: late });

    expect(info.tablespaces).toMatchObject([{ name: "late", location }]);
    expect(manifest.parts.map(({ name }) => name)).toContain(`${info.tablespaces[0]?.oid}.tar.zst`);
  });

  it("holds a configuration file that the data directory only links to", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    const elsewhere = join(await folder.make("etc"), "main.conf");
    const link = join(lab.server.dataDirectory, "pg_hba.conf");
    await rename(link, elsewhere);
    await symlink(elsewhere, link);

    const { id } = await lab.backUp();
    const target = await folder.make("unpacked");
    await unpackByHand(lab, id, target);

    expect((await lstat(join(target, "pg_hba.conf"))).isFile()).toBe(true);
    expect(await readFile(join(target, "pg_hba.conf"))).toEqual(await readFile(elsewhere));
  });

  it("is refused when two configuration files from outside have one name", async () => {
    await using lab = await backupLab();
    const [one, other] = [await lab.server.folder.make("one"), await lab.server.folder.make("other")];
    await writeFile(join(one, "same.conf"), "local all all trust\n", { mode: 0o644 });
    await writeFile(join(other, "same.conf"), "# none\n", { mode: 0o644 });
    await lab.server.restart({
      settings: { hba_file: join(one, "same.conf"), ident_file: join(other, "same.conf") },
    });

    await expect(lab.backUp()).rejects.toMatchObject({
      code: "backup-failed",
      message: expect.stringContaining('cannot both be stored as "same.conf"') as string,
    });
  });

  it("stores the control file as it was before the backup's end", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    await using connection = await lab.server.connect();
    const busy = around(connection, {
      after: async (sql) => {
        if (/pg_(backup_stop|stop_backup)\(/.test(sql)) await lab.server.sql("CHECKPOINT");
      },
    });

    const { id, info } = await lab.backUp({}, { connection: busy });
    const target = await folder.make("unpacked");
    await unpackByHand(lab, id, target);

    const control = parseControlFile(await readFile(join(target, "global/pg_control")));
    expect(control.checkpointLsn < info.endLsn).toBe(true);
  });

  it("is marked when a page on disk is damaged, with its file and block, and is complete all the same", async () => {
    await using lab = await backupLab();
    await lab.server.sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS id");
    const [row] = await lab.server.sql<{ path: string }>("SELECT pg_relation_filepath('t') AS path");
    await lab.server.sql("CHECKPOINT");
    await using file = await open(join(lab.server.dataDirectory, row?.path ?? ""), "r+");
    await file.write(Buffer.from("damage"), 0, 6, 3 * 8192 + 5000);
    await file.write(Buffer.from("damage"), 0, 6, 200 * 8192 + 100);

    const { manifest } = await lab.backUp();

    expect(manifest.pagesVerified).toBe(true);
    expect(manifest.damagedPageCount).toBe(2);
    expect(manifest.damagedPages).toEqual([
      { path: row?.path, block: 3 },
      { path: row?.path, block: 200 },
    ]);
  });

  it("leaves out what only the running server needs, and keeps every directory", async () => {
    await using lab = await backupLab();
    const data = lab.server.dataDirectory;
    for (const name of [
      "backup_manifest",
      "tablespace_map",
      "recovery.signal.x",
      ".tidemark-spool",
      "mine.conf",
    ]) {
      await writeFile(join(data, name), "x");
    }
    await writeFile(join(data, "base", "pgsql_tmp1"), "x");

    const { id } = await lab.backUp({ codec: "none" });
    const part = join(lab.storeRoot, "pg1/base", id, "data.tar");
    const { stdout } = await run("tar", ["-tvf", part]);
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(5).join(" "));
    const others = await everyName(join(lab.storeRoot, "pg1/base", id));

    expect(names[0]).toBe("./");
    expect(stdout.split("\n")[0]).toMatch(/^drwx------/);
    expect(names).toEqual(expect.arrayContaining(["pg_wal/", "pg_replslot/", "pg_tblspc/", "base/1/"]));
    const firstFile = names.findIndex((name) => !name.endsWith("/"));
    expect(names.slice(firstFile).filter((name) => name.endsWith("/"))).toEqual([]);
    expect(others.filter((name) => name.startsWith("pg_wal/") && name !== "pg_wal/")).toEqual([]);
    expect(others).toEqual(expect.arrayContaining(["./mine.conf", "./recovery.signal.x", "./PG_VERSION"]));
    for (const name of ["backup_manifest", "tablespace_map", "postmaster.pid", ".tidemark-spool"]) {
      expect(others.filter((other) => other.endsWith(name))).toEqual([]);
    }
    expect(others.filter((name) => name.includes("pgsql_tmp"))).toEqual([]);
    expect(others.slice(-2)).toEqual(["global/pg_control", "backup_label"]);
  });

  it("is refused when the directory here is not the one the server works in", async () => {
    await using lab = await backupLab();
    await using other = await backupLab();
    await using connection = await lab.server.connect();
    const query = connection.query.bind(connection);
    const elsewhere = Object.assign(Object.create(connection) as typeof connection, {
      query: async (sql: string, params?: readonly string[]) => {
        const rows = await query<Record<string, unknown>>(sql, params);
        return rows.map((row) =>
          "data_directory" in row ? { ...row, data_directory: other.server.dataDirectory } : row,
        );
      },
    });

    await expect(lab.backUp({}, { connection: elsewhere })).rejects.toMatchObject({
      code: "config",
      message: expect.stringContaining("the directory here is another one"),
    });
    expect(await readdir(join(lab.storeRoot, "pg1"))).not.toContain("base");
  });

  it("copies files that vanish and shrink meanwhile without failing", async () => {
    await using lab = await backupLab();
    const data = lab.server.dataDirectory;
    await Promise.all(
      Array.from({ length: 400 }, async (_, at) =>
        writeFile(join(data, `extra${at}`), Buffer.alloc(20_000, 1)),
      ),
    );
    let churned = 0;

    const backup = lab.backUp();
    for (let at = 0; at < 400; at += 2) {
      await rm(join(data, `extra${at}`));
      await writeFile(join(data, `extra${at + 1}`), "short");
      churned++;
    }
    const { manifest } = await backup;

    expect(churned).toBe(200);
    expect(manifest.damagedPageCount).toBe(0);
    expect((await stat(join(lab.storeRoot, "pg1/base"))).isDirectory()).toBe(true);
  });
});

/** A session that lets something happen before or after its queries. */
function around(
  connection: SqlConnection,
  happens: {
    readonly before?: (sql: string) => Promise<void>;
    readonly after?: (sql: string) => Promise<void>;
  },
): SqlConnection {
  const query: SqlConnection["query"] = async (sql, ...rest) => {
    await happens.before?.(sql);
    const rows = await connection.query(sql, ...rest);
    await happens.after?.(sql);
    return rows as never;
  };
  return Object.assign(Object.create(connection) as SqlConnection, { query });
}

/** Names of the members of all parts in order. */
async function everyName(folder: string): Promise<string[]> {
  const parts = (await readdir(folder)).filter((name) => name.startsWith("data")).sort();
  const lists = [];
  for (const part of parts) {
    lists.push((await run("tar", ["-tf", join(folder, part)])).stdout.trim().split("\n"));
  }
  return lists.flat();
}
