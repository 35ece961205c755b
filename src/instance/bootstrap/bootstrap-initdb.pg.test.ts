import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../../common/errors.ts";
import { majorsUnderTest } from "../../postgres/testing/majors-under-test.ts";
import { readBootstrapReport } from "./bootstrap-report.ts";
import { bootstrapLab, newCluster, sqlOn } from "./testing/bootstrap-lab.ts";

const script = fileURLToPath(new URL("testing/bootstrap-process.ts", import.meta.url));
const majors = majorsUnderTest().filter((major) => [13, 15, 17, 18].includes(major));

describe.each(majors)("a new cluster of PostgreSQL %i", (major) => {
  test("has the application's database, and what the specification's statements made", async () => {
    await using lab = await bootstrapLab(major);
    const instance = await lab.instance("pg-1", {
      ...newCluster,
      application: { database: "shop", owner: 'the "owner"' },
      encoding: "UTF8",
      arguments: ["--locale=C"],
      walSegmentSizeMib: 4,
      postInitSql: ["CREATE ROLE reader", "CREATE TABLE of_postgres (); CREATE TABLE too ()"],
      postInitTemplateSql: ["CREATE TABLE of_template ()"],
      postInitApplicationSql: ["CREATE TABLE of_app AS SELECT 1 AS n"],
    });

    const report = await instance.bootstrap();
    const server = await instance.serve();

    expect(report).toMatchObject({ kind: "initdb" });
    expect(await readBootstrapReport(instance.folder)).toEqual(report);
    const tables = async (database: string) =>
      (
        await sqlOn<{ name: string }>(
          server,
          "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
          { database },
        )
      ).map(({ name }) => name);
    expect(await tables("postgres")).toEqual(["of_postgres", "too"]);
    expect(await tables("shop")).toEqual(["of_app", "of_template"]);
    expect(
      await sqlOn(
        server,
        `SELECT rolcanlogin AS login, rolsuper AS super, rolpassword IS NULL AS closed,
           (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop') AS owner,
           (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'shop') AS encoding,
           current_setting('data_checksums') AS checksums, current_setting('wal_segment_size') AS segment
         FROM pg_authid WHERE rolname = 'the "owner"'`,
      ),
    ).toEqual([
      {
        login: true,
        super: false,
        closed: true,
        owner: 'the "owner"',
        encoding: "UTF8",
        checksums: "on",
        segment: "4MB",
      },
    ]);
    expect(await readdir(join(instance.folder.root, "bootstrap"))).toEqual([]);
  });
});

describe("a cluster being made", () => {
  test("is made with the instance's configuration, but archives nowhere and waits for no standby", async () => {
    await using lab = await bootstrapLab();
    const facts = [
      "cluster_name",
      "archive_mode",
      "listen_addresses",
      "synchronous_standby_names",
      "config_file",
    ];
    const instance = await lab.instance(
      "pg-1",
      {
        ...newCluster,
        postInitApplicationSql: [
          `CREATE TABLE seen AS SELECT name, setting FROM pg_settings WHERE name IN ('${facts.join("', '")}')`,
        ],
      },
      {
        listenAddresses: "localhost",
        parameters: {
          cluster_name: "from the manifest",
          synchronous_standby_names: "*",
          default_transaction_read_only: "on",
        },
      },
    );

    await instance.bootstrap();
    const server = await instance.serve();

    const seen = await sqlOn(server, "SELECT name, setting FROM seen ORDER BY name", { database: "app" });
    expect(seen).toEqual([
      { name: "archive_mode", setting: "off" },
      { name: "cluster_name", setting: "from the manifest" },
      { name: "config_file", setting: join(instance.folder.configuration, "postgresql.conf") },
      { name: "listen_addresses", setting: "" },
      { name: "synchronous_standby_names", setting: "" },
    ]);
  });

  test("tells what it is doing", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", { ...newCluster, postInitSql: ["SELECT 1", "SELECT 2"] });

    await instance.bootstrap();

    expect(lab.activities).toEqual([
      "making a new cluster with initdb",
      "starting the new cluster, for ourselves alone",
      'making the database "app"',
      "running statement 1 of 2 of postInitSQL",
      "running statement 2 of 2 of postInitSQL",
      "stopping the new cluster",
    ]);
  });

  test("is given up over a statement that fails, of which nothing is repeated, and succeeds with a right one", async () => {
    await using lab = await bootstrapLab();
    const wrong = await lab.instance("pg-1", {
      ...newCluster,
      postInitSql: ["SELECT 1"],
      postInitApplicationSql: ["CREATE ROLE other PASSWORD 'geheim-1'", "ALTER ROLE other PASSWORD geheim_2"],
    });

    const failure = await wrong.bootstrap().catch((error: unknown) => error);

    if (!isEngineError(failure, "postgres-failed")) throw failure;
    expect(failure.message).toBe("PostgreSQL refused statement 2 of postInitApplicationSQL (SQLSTATE 42601)");
    expect(failure.retryable).toBe(false);
    expect(failure.hint).toBe(
      `What PostgreSQL said is in its log, "${wrong.folder.serverLog}"; it is not repeated here, because it may quote a password.`,
    );
    expect(inspect(failure) + JSON.stringify(lab.lines)).not.toContain("geheim");
    // The log has PostgreSQL's own words, but no statement.
    expect(await readFile(wrong.folder.serverLog, "utf8")).not.toMatch(/STATEMENT|geheim-1/);
    await expect(access(wrong.folder.data)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readdir(join(wrong.folder.root, "bootstrap"))).toEqual([]);
    await wrong.bootstrap({ spec: { ...wrong.spec, bootstrap: newCluster } });
    await access(join(wrong.folder.data, "global", "pg_control"));
  });

  test("says what is wrong when the server does not start with its parameters", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster, { parameters: { no_such_parameter: "1" } });

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "postgres-failed",
      message: expect.stringContaining('unrecognized configuration parameter "no_such_parameter"') as string,
    });
  });

  test("leaves what is in its place to whoever put it there", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster);
    await mkdir(instance.folder.data);
    await writeFile(join(instance.folder.data, "notes.txt"), "somebody's");

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "target-directory",
      message: `"${instance.folder.data}" is no data directory, but holds "notes.txt"`,
    });
    expect(await readdir(instance.folder.data)).toEqual(["notes.txt"]);
  });

  test("is not made twice", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster);
    await instance.bootstrap();

    await expect(instance.bootstrap()).rejects.toMatchObject({
      code: "target-directory",
      message: `there is a data directory in "${instance.folder.data}" already`,
    });
  });

  test("is made without root as well, by the user whom PostgreSQL runs as", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", newCluster);
    const { user } = lab.folder;
    const job = { folder: instance.folder.root, spec: instance.spec, program: [process.execPath] };

    const child = spawn(process.execPath, [script, JSON.stringify(job)], {
      stdio: ["ignore", "inherit", "inherit"],
      cwd: "/",
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    expect(await once(child, "exit")).toEqual([0, null]);

    const server = await instance.serve();
    expect(await sqlOn(server, "SELECT current_database() AS name", { database: "app" })).toEqual([
      { name: "app" },
    ]);
  });

  test("ends when it is stopped, and leaves nothing", async () => {
    await using lab = await bootstrapLab();
    const instance = await lab.instance("pg-1", { ...newCluster, postInitSql: ["SELECT pg_sleep(60)"] });
    const stop = new AbortController();

    const ended = instance.bootstrap({
      signal: stop.signal,
      onActivity: (activity) => {
        if (activity.startsWith("running")) setTimeout(() => stop.abort(), 200);
      },
    });

    await expect(ended).rejects.toMatchObject({ code: "aborted" });
    expect(await readdir(join(instance.folder.root, "bootstrap"))).toEqual([]);
  });
});
