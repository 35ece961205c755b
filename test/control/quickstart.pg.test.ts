import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { addRow, makeTables, readContents } from "../support/rows.ts";
import { Secret } from "../../src/common/log.ts";
import { connect } from "../../src/postgres/connection.ts";
import { controlPlane, exampleWith } from "../support/control-plane.ts";
import { until } from "../support/until.ts";

test("the quickstart gives a PostgreSQL that archives, is backed up, and comes back at a moment under another name", async () => {
  await using plane = await controlPlane();
  const stores = await plane.folder.make("stores");
  const directory = await exampleWith(plane, "quickstart", [
    ["/tmp/tidemark-quickstart", stores],
    [
      "  instances: 1",
      '  instances: 1\n  enableSuperuserAccess: true\n  postgresql:\n    parameters:\n      track_commit_timestamp: "on"',
    ],
  ]);
  await plane.up(["-f", directory]);

  await plane.healthy("pg");
  for (const [secret, user] of [
    ["pg-app", "app"],
    ["pg-superuser", "postgres"],
  ] as const) {
    await using session = await connect({ url: new Secret(await plane.secretValue(secret, "uri")) });
    expect(await session.query("SELECT current_user::text AS user")).toEqual([{ user }]);
  }
  await using origin = await plane.connect("pg");
  await makeTables(async (sql) => origin.query(sql));
  const row = await addRow(async (sql) => origin.query(sql), 1);
  const before = await readContents(async (sql) => origin.query(sql));
  const output = await plane.ok(["backup", "pg", "--backup-name", "after-the-row"]);
  const after = await addRow(async (sql) => origin.query(sql), 2);
  await origin.query("DROP TABLE bulk");
  await origin.query("SELECT pg_switch_wal()");

  expect(output).toContain("backup/after-the-row created");
  expect(await readdir(join(stores, "pg"))).toEqual(expect.arrayContaining(["base", "wals"]));
  expect(await plane.ok(["get", "cluster"])).toMatch(
    /^NAME +AGE +INSTANCES +READY +STATUS +PRIMARY\npg .*1 +1 +Cluster in healthy state +pg-1\n$/,
  );

  await until(
    async () => {
      const { code, stderr } = await plane.run([
        "restore",
        "pg",
        "--to",
        `lsn:${after.lsn}`,
        "--as",
        "look",
        "--dry-run",
      ]);
      return code === 0 ? undefined : stderr;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
  await plane.ok(["restore", "pg", "--to", after.time, "--exclusive", "--as", "pg-rescued", "--yes"]);
  await plane.healthy("pg-rescued");
  await using rescued = await plane.connect("pg-rescued");

  expect(await readContents(async (sql) => rescued.query(sql))).toEqual(before);
  expect(before?.ids).toEqual([row.id]);
  await plane.ok(["backup", "pg-rescued", "--backup-name", "first"]);
  expect(await readdir(join(stores, "pg-rescued"))).toEqual(expect.arrayContaining(["base", "wals"]));

  const kept = await plane.run(["delete", "backup", "first", "--purge", "--yes"]);
  expect(kept.stderr).toContain("it is the last good one");
  await plane.ok(["backup", "pg-rescued", "--backup-name", "second"]);
  await plane.ok(["delete", "backup", "first", "--purge", "--yes"]);
  expect(await readdir(join(stores, "pg-rescued", "base"))).toHaveLength(1);
  expect(await plane.get("backup", "first")).toBeUndefined();
  await plane.ok(["delete", "backup", "second", "--yes"]);
  expect(await readdir(join(stores, "pg-rescued", "base"))).toHaveLength(1);
});
