import { appendFile, chown, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive, sendSignal } from "../../src/postgres/server-process-tree.ts";
import { testServer, type TestServer } from "../../src/postgres/testing/test-server.ts";
import { controlPlane, exampleWith, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { serveAdopted, type RestoreReport } from "../support/restored.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";
import { until } from "../support/until.ts";

interface ServerObject {
  readonly status?: {
    readonly phase?: string;
    readonly phaseReason?: string;
    readonly settings?: string;
    readonly version?: string;
    readonly systemID?: string;
    readonly lastArchivedWAL?: string;
    readonly firstRecoverabilityPoint?: string;
    readonly agent?: { readonly pid: number };
    readonly schedules?: readonly { readonly nextScheduleTimes: readonly string[] }[];
    readonly backups?: readonly {
      readonly name: string;
      readonly schedule?: string;
      readonly phase: string;
      readonly error?: string;
    }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

test("a PostgreSQL that is there already archives, is backed up at its times, and comes back, whoever is killed", async () => {
  await using pg = await testServer({ settings: { track_commit_timestamp: "on" } });
  await using plane = await controlPlane();
  const store = await plane.folder.make("store");
  const { user } = pg.server.connection;
  const example = await exampleWith(plane, "existing-server", [
    ["/tmp/tidemark-existing-server", store],
    [
      "  dataDirectory: /var/lib/postgresql/17/main",
      `  dataDirectory: ${pg.dataDirectory}
  spoolDirectory: ${await plane.folder.make("spool")}
  connection:
    user: ${user}`,
    ],
  ]);
  const first = await plane.up(["-f", example]);

  const unset = await serverWhen(plane, ({ settings, phase }) =>
    settings === undefined || phase !== "PostgreSQL does not archive here"
      ? "its settings are not judged"
      : undefined,
  );
  expect(unset?.phaseReason).toMatch(
    /^archive_mode is off: write archive_mode = 'on' and archive_command = '.*' into postgresql\.conf and restart PostgreSQL$/,
  );
  await configure(pg, unset?.settings ?? "");
  const ready = await archivingWithBackups(plane, 1);
  expect(ready).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+$/) as string,
    systemID: expect.stringMatching(/^\d+$/) as string,
    schedules: [
      { name: "nightly", nextScheduleTimes: [/T02:00:00Z$/, /T02:00:00Z$/, /T02:00:00Z$/].map(like) },
    ],
    backups: [{ schedule: "nightly", phase: "completed" }],
  });
  expect(await plane.ok(["get", "server"])).toMatch(/^NAME .*\nmain +\S+ +True +Archiving +\d+\.\d+ /);
  await makeTables(pg.sql);
  await addRow(pg.sql, 1);

  await first.end("SIGKILL");
  const former = ready?.agent?.pid ?? 0;
  sendSignal(former, "SIGKILL");
  await until(async () => ((await isAlive(former)) ? "the agent lives" : undefined));
  await pg.sql("SELECT pg_switch_wal()");
  await plane.up();
  const again = await archivingWithBackups(plane, 1);
  expect(again?.agent?.pid).not.toBe(former);
  expect(await plane.ok(["backup", "server/main"])).toMatch(/^backup main-\d+ of server\/main requested\n/);
  await addRow(pg.sql, 2);
  const contents = await readContents(pg.sql);
  await archived(pg);

  expect(await plane.ok(["status", "server/main"])).toMatch(/\nsafe: +yes\n/);
  expect(await plane.ok(["logs", "server/main"])).toContain("base backup completed");
  const directory = join(await plane.folder.make("restored"), "data");
  const restored = ["base", "restore", directory, "--to-latest", "--start", "-o", "json"];
  const report = await plane.okWithoutState([...restored, "--repo", store, "--server", "main"]);
  await using copy = await serveAdopted(directory, JSON.parse(report) as RestoreReport);
  expect(await copy.contents()).toEqual(contents);

  await plane.ok(["delete", "server", "main", "--yes"]);
  const ended = again?.agent?.pid ?? 0;
  await until(async () => ((await isAlive(ended)) ? "the agent lives" : undefined));
  await until(async () => {
    const left = await readdir(join(plane.state, "servers", "default"));
    return left.length === 0 ? undefined : `${left.join()} is left`;
  });
  expect(await readContents(pg.sql)).toEqual(contents);
  expect(await readdir(join(store, "main", "base"))).toHaveLength(2);
});

const like = (pattern: RegExp): string => expect.stringMatching(pattern) as string;

/** The status when it fits; `problem` says what does not. */
async function serverWhen(
  plane: ControlPlaneUnderTest,
  problem: (status: NonNullable<ServerObject["status"]>) => string | undefined,
): Promise<ServerObject["status"]> {
  let status: ServerObject["status"];
  await until(
    async () => {
      status = (await plane.get<ServerObject>("server", "main"))?.status;
      const found = problem(status ?? {});
      return found === undefined ? undefined : `${found}: ${JSON.stringify(status, undefined, 1)}`;
    },
    { timeoutMs: 60_000, everyMs: 250 },
  );
  return status;
}

async function archivingWithBackups(
  plane: ControlPlaneUnderTest,
  count: number,
): Promise<ServerObject["status"]> {
  return serverWhen(plane, ({ phase, backups = [], conditions = [], firstRecoverabilityPoint }) => {
    const failed = backups.find((backup) => backup.phase === "failed");
    if (failed !== undefined) throw new Error(`backup ${failed.name} failed: ${failed.error}`);
    const completed = backups.filter((backup) => backup.phase === "completed").length;
    const isFine = conditions.every(({ status }) => status === "True") && conditions.length === 3;
    return phase === "Archiving" && isFine && completed === count && firstRecoverabilityPoint !== undefined
      ? undefined
      : "it is not well";
  });
}

async function configure(pg: TestServer, settings: string): Promise<void> {
  const file = join(pg.dataDirectory, "postgresql.conf");
  await appendFile(file, settings);
  if (pg.folder.user !== undefined) await chown(file, pg.folder.user.uid, pg.folder.user.gid);
  await pg.restart();
}

/** Until what has been written so far is in the archive. */
async function archived(pg: TestServer): Promise<void> {
  const [row] = await pg.sql<{ wal: string }>("SELECT pg_walfile_name(pg_switch_wal()) AS wal");
  await until(async () => {
    const [last] = await pg.sql<{ wal: string | null }>(
      "SELECT last_archived_wal AS wal FROM pg_stat_archiver",
    );
    return typeof last?.wal === "string" && row !== undefined && last.wal >= row.wal
      ? undefined
      : `${last?.wal} is archived`;
  });
}
