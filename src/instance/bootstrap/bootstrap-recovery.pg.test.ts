import { access, cp, mkdir, readdir, readFile, readlink, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RunningServer } from "../../postgres/server-running.ts";
import { archiveThrough } from "../../restore/testing/sample-repository.ts";
import { readBootstrapReport } from "./bootstrap-report.ts";
import type { PlannedRecovery } from "./bootstrap-options.ts";
import { bootstrapLab, sqlOn } from "./testing/bootstrap-lab.ts";
import { recoverySource } from "./testing/recovery-source.ts";

async function rowsOn(server: RunningServer): Promise<number[]> {
  const rows = await sqlOn<{ n: number }>(server, "SELECT n FROM t ORDER BY n");
  return rows.map(({ n }) => n);
}

describe("a cluster recovered from its repository", () => {
  test("has everything to the end of the archive, archives nowhere meanwhile, and is configured as the specification says", async () => {
    await using lab = await bootstrapLab();
    const archived = join(lab.folder.path, "archived-by-mistake");
    await using source = await recoverySource(async (server) => {
      // What a careless origin leaves in its backups.
      await server.sql(`ALTER SYSTEM SET archive_command = 'touch ${archived}'`);
      await server.sql("ALTER SYSTEM SET archive_mode = 'always'");
      await server.sql("ALTER SYSTEM SET shared_preload_libraries = 'not_on_this_machine'");
      await server.sql("ALTER SYSTEM SET listen_addresses = '*'");
      await server.sql("ALTER SYSTEM SET recovery_target_name = 'of an earlier recovery'");
    });
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({ application: { database: "app", owner: "app" } }),
    );
    const plans: PlannedRecovery[] = [];

    const report = await instance.bootstrap({ onPlan: (plan) => plans.push(plan) });
    const server = await instance.serve();

    expect(report).toMatchObject({
      kind: "recovery",
      recovery: { backupId: source.backupId, stopReason: "end of WAL" },
    });
    expect(report.recovery?.reachedLsn).toMatch(/^\d+\/[0-9A-F]+$/);
    expect(report.recovery?.plan).toEqual(
      expect.arrayContaining([
        `repository: ${source.sample.directory}/srv`,
        "target: the end of the archive",
        expect.stringMatching(`^backup: ${source.backupId}, ended `) as string,
      ]),
    );
    expect(plans).toEqual([{ plan: report.recovery?.plan, backupId: source.backupId }]);
    expect(await readBootstrapReport(instance.folder)).toEqual(report);
    expect(await rowsOn(server)).toEqual([1, 2, 3, 4, 5, 6]);
    await expect(access(archived)).rejects.toMatchObject({ code: "ENOENT" });
    expect(
      await sqlOn(
        server,
        `SELECT pg_is_in_recovery() AS recovering, timeline_id AS timeline, current_setting('listen_addresses') AS listens,
           current_setting('max_connections') AS connections,
           (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app') AS owner
         FROM pg_control_checkpoint()`,
      ),
    ).toEqual([{ recovering: false, timeline: 2, listens: "", connections: "20", owner: "app" }]);
    expect((await readFile(join(instance.folder.data, "postgresql.auto.conf"), "utf8")).trim()).toBe("");
    const names = await readdir(instance.folder.data);
    for (const name of ["recovery.signal", "backup_label", ".tidemark-restore.json"]) {
      expect(names).not.toContain(name);
    }
    expect(await readdir(join(instance.folder.data, "pg_wal"))).not.toContain(".tidemark-prefetch");
    expect(await readdir(join(instance.folder.root, "bootstrap"))).toEqual([]);
  });

  test("ends at the target, and leaves database and role alone that are there", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource(async (server) => {
      await server.sql("CREATE ROLE app NOLOGIN");
      await server.sql("CREATE DATABASE app");
    });
    const target = { kind: "name", name: source.restorePoint } as const;
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({ target, backup: source.backupId, application: { database: "app", owner: "app" } }),
    );

    const { recovery } = await instance.bootstrap();
    const server = await instance.serve();

    expect(recovery?.stopReason).toContain('at restore point "behind 4"');
    expect(await rowsOn(server)).toEqual([1, 2, 3, 4]);
    expect(
      await sqlOn(
        server,
        "SELECT rolcanlogin AS login, (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app') AS owner FROM pg_roles WHERE rolname = 'app'",
      ),
    ).toEqual([{ login: false, owner: "postgres" }]);
  });

  test("has its tablespaces in its own folder, or where the specification says", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource(async (server) => {
      for (const name of ["own", "given"]) {
        await server.sql(`CREATE TABLESPACE ${name} LOCATION '${await server.folder.make(name)}'`);
        await server.sql(`CREATE TABLE in_${name} TABLESPACE ${name} AS SELECT 1 AS n`);
      }
    });
    const given = join(lab.folder.path, "elsewhere");
    await lab.folder.make("elsewhere");
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({ tablespaces: { given, "not in this backup": "/nowhere" } }),
    );

    await instance.bootstrap();
    const server = await instance.serve();

    expect(await sqlOn(server, "SELECT * FROM in_own, in_given")).toEqual([{ n: 1 }]);
    const links = join(instance.folder.data, "pg_tblspc");
    const places = await Promise.all((await readdir(links)).map(async (oid) => readlink(join(links, oid))));
    expect(places.toSorted()).toEqual([given, join(instance.folder.tablespaces, "own")].toSorted());
  });
});

describe("a recovery that cannot be done", () => {
  test("is refused before anything is written, with what can be done", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    const late = { kind: "time", time: "2099-01-01 00:00:00.000000+00:00", inclusive: true } as const;
    const instance = await lab.instance("restored-1", source.bootstrap({ target: late }));

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "target-unreachable",
      message: expect.stringMatching(
        /^this cannot be restored: the newest transaction in the archive ended at \d{4}-.*, not after the target 2099/,
      ) as string,
      hint: expect.stringMatching(/The newest time that can be given is just before \d{4}-/) as string,
    });
    expect((await readdir(instance.folder.root)).toSorted()).toEqual(["bootstrap", "configuration"]);
    expect(await readdir(join(instance.folder.root, "bootstrap"))).toEqual([]);
  });

  test("names every repository that was asked, and tells an outage from a no", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    const settings = [
      { name: "unmounted", url: join(lab.folder.path, "unmounted") },
      { name: "good", url: source.sample.directory },
    ];
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({ repositories: settings, backup: "20200101T000000" }),
    );

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "store-missing",
      message: expect.stringMatching(
        /^no repository of "srv" will do: "unmounted": .*; "good": .*20200101T000000/,
      ) as string,
    });
  });

  test("of a transaction that never was is told in PostgreSQL's words, and a right target succeeds then", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    const target = { kind: "xid", xid: "99999", inclusive: true } as const;
    const instance = await lab.instance("restored-1", source.bootstrap({ target }));

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "target-missed",
      message: expect.stringContaining(
        "recovery ended before configured recovery target was reached",
      ) as string,
    });
    await instance.bootstrap({ spec: { ...instance.spec, bootstrap: source.bootstrap() } });

    expect(await rowsOn(await instance.serve())).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await readdir(join(instance.folder.root, "bootstrap"))).toEqual([]);
  });

  test("leaves alone what is in the directory of a tablespace", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource(async (server) => {
      await server.sql(`CREATE TABLESPACE own LOCATION '${await server.folder.make("own")}'`);
    });
    const instance = await lab.instance("restored-1", source.bootstrap());
    const taken = join(instance.folder.tablespaces, "own");
    await mkdir(taken, { recursive: true });
    await writeFile(join(taken, "notes.txt"), "somebody's");

    await expect(instance.bootstrap()).rejects.toMatchObject({ code: "target-directory" });
    expect(await readdir(taken)).toEqual(["notes.txt"]);
  });
});

describe("a cluster with several repositories", () => {
  test("is recovered from the next one where one cannot be opened, lacks the target, or is damaged", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    const { directory } = source.sample;
    const copy = async (name: string): Promise<string> => {
      const target = await lab.folder.make(name);
      await cp(directory, target, { recursive: true });
      return target;
    };
    const lacking = await copy("lacking");
    await rm(join(lacking, "srv", "base"), { recursive: true });
    const damaged = await copy("damaged");
    const parts = join(damaged, "srv", "base", source.backupId);
    await truncate(join(parts, "data_0001.tar.gz"), 1000);
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({
        repositories: [
          { name: "unmounted", url: join(lab.folder.path, "unmounted") },
          { name: "lacking", url: lacking },
          { name: "damaged", url: damaged },
          { name: "whole", url: directory },
        ],
      }),
    );

    const { recovery } = await instance.bootstrap();

    // Whole ones first.
    expect(recovery?.plan.slice(0, 2)).toEqual([
      `repository: ${directory}/srv`,
      `repository: ${damaged}/srv`,
    ]);
    expect(recovery?.plan.join("\n")).toMatch(
      /note: ".*data_0001\.tar\.gz" in repository "damaged" could not be used .* repository "whole" had a good copy/,
    );
    expect(await rowsOn(await instance.serve())).toEqual([1, 2, 3, 4, 5, 6]);
    expect(lab.lines.filter(({ message }) => message === "cannot recover from this repository")).toHaveLength(
      1,
    );
  });

  test("takes WAL from whichever has it", async () => {
    await using lab = await bootstrapLab();
    await using source = await recoverySource();
    const { directory } = source.sample;
    // The base backup is here, WAL of the end is only there.
    const other = await lab.folder.make("other");
    await cp(directory, other, { recursive: true });
    await source.server.restart({ settings: source.sample.archiveSettings });
    await source.server.sql("INSERT INTO t VALUES (7)");
    await archiveThrough(source.server, source.sample);
    await source.server.server.stop("fast");
    await rm(join(directory, "srv", "base"), { recursive: true });
    const instance = await lab.instance(
      "restored-1",
      source.bootstrap({ repositories: [{ url: directory }, { url: other }] }),
    );

    await instance.bootstrap();

    expect(await rowsOn(await instance.serve())).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});
