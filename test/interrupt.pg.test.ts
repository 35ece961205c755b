import { access, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { connect } from "../src/postgres/connection.ts";
import { clusterState } from "../src/postgres/server-state.ts";
import { startServer } from "../src/postgres/server.ts";
import { untilDrained } from "./support/archive-audit.ts";
import { startTidemark, type StartedProgram } from "./support/programs.ts";
import { contentsAt } from "./support/restored.ts";
import { addRow, makeTables, readContents } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";
import { until } from "./support/until.ts";

/*
 * Ctrl-C: work under way stops, says so with exit status 4, leaves nothing that looks complete, and can be begun again. A
 * bandwidth limit in the configuration makes "under way" long enough to meet.
 */

describe.concurrent("Ctrl-C", () => {
  test("ends a base backup: nothing of it stays in the repository, and the server is out of backup mode", async ({
    expect,
  }) => {
    await using system = await startSystem();
    await using _agent = await system.agent();
    const end = await fill(system);
    const { dataDirectory, sql } = system.server;
    await using backup = await startSlowly(system, [
      "base",
      "create",
      "-D",
      dataDirectory,
      "--compression",
      "none",
    ]);
    await until(async () => ((await isCopying(system)) ? undefined : "the backup has not begun to copy"));

    const ended = await backup.end("SIGINT");

    expect(wordsOf(system, ended.stderr)).toBe(
      "tidemark: stopped by SIGINT\nhint: The server is out of backup mode, and no backup was made. Run the same command again to take one; it removes what may be left of this one.",
    );
    expect(ended.code).toBe(4);
    expect(await readdir(join(system.repositoryDirectory, "main"))).not.toContain("base");
    // Backup mode ends with its session.
    expect(await sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'tidemark'")).toEqual([]);
    await system.json(["base", "create", "-D", dataDirectory, "--compression", "none"]);
    await untilDrained(dataDirectory);
    expect(await contentsAt(system, ["--to-latest"])).toEqual(end);
  });

  test("ends a restore: what is there cannot be started, and is cleaned away on request", async ({
    expect,
  }) => {
    await using system = await startSystem();
    await using _agent = await system.agent();
    const end = await fill(system);
    await system.json(["base", "create", "-D", system.server.dataDirectory, "--compression", "none"]);
    await untilDrained(system.server.dataDirectory);
    const directory = system.path("interrupted");
    await using restore = await startSlowly(system, ["base", "restore", directory, "--start"]);
    await until(async () =>
      (await readdir(directory).catch((): string[] => [])).includes("base")
        ? undefined
        : "nothing is restored yet",
    );

    const ended = await restore.end("SIGINT");

    expect(wordsOf(system, ended.stderr)).toBe(
      'tidemark: stopped by SIGINT\nhint: What "<dir>" holds by now cannot be started. Remove it with "tidemark base restore <dir> --clean", then run the same command again.',
    );
    expect(ended.code).toBe(4);
    expect(await exists(join(directory, "global", "pg_control"))).toBe(false);
    const again = await system.run(["base", "restore", directory, "--start", "--stop-after"]);
    expect([again.code, wordsOf(system, again.stderr)]).toEqual([
      51,
      'tidemark: "<dir>" holds an unfinished restore of backup "<id>", begun at <time>\nhint: It cannot be started. Run the restore again with --clean to remove it first.',
    ]);
    const cleaned = await system.run(["base", "restore", directory, "--clean", "--yes"]);
    expect([cleaned.code, cleaned.stderr, await readdir(directory)]).toEqual([0, "", []]);
    const second = await system.run(["base", "restore", directory, "--start", "--stop-after"]);
    expect([second.code, second.stderr]).toEqual([0, ""]);
    expect(await contentsAt(system, ["--to-latest"])).toEqual(end);
  });

  test("ends a restore whose server is replaying: it is stopped, and goes on when it is started by hand", async ({
    expect,
  }) => {
    await using system = await startSystem();
    await using _agent = await system.agent();
    await system.json(["base", "create", "-D", system.server.dataDirectory]);
    const end = await fill(system);
    await untilDrained(system.server.dataDirectory);
    const directory = system.path("interrupted");
    await using restore = system.start(["base", "restore", directory, "--start", "--action", "pause"]);
    await until(async () =>
      (await clusterState(directory).catch(() => undefined))?.kind === "running"
        ? undefined
        : "no server yet",
    );

    const ended = await restore.end("SIGINT");

    expect(ended).toMatchObject({ code: 4 });
    expect(wordsOf(system, ended.stderr)).toBe(
      'tidemark: stopped by SIGINT\nhint: The server is stopped, and "<dir>" is restored, but not yet recovered to its target. Start PostgreSQL on it to go on, or remove it.',
    );
    expect((await clusterState(directory)).kind).not.toBe("running");
    const { binaries } = system.server;
    await using server = await startServer({ binaries, dataDirectory: directory, readyTimeoutMs: 0 });
    await server.waitUntilPromoted({ timeoutMs: 60_000 });
    await using session = await connect(server.connection);
    expect(await readContents(session.query.bind(session))).toEqual(end);
  });

  test("ends the agent after the segment at hand, and the next agent goes on", async ({ expect }) => {
    await using system = await startSystem();
    const first = await system.agent();
    await makeTables(system.server.sql);
    await system.server.sql("SELECT pg_switch_wal()");
    await untilDrained(system.server.dataDirectory);

    const ended = await first.end("SIGINT");

    expect(ended.code).toBe(0);
    expect(wordsOf(system, ended.stderr)).toBe("");
    await using _second = await system.agent();
    await system.json(["base", "create", "-D", system.server.dataDirectory]);
    await addRow(system.server.sql, 1);
    const end = await readContents(system.server.sql);
    await system.server.sql("SELECT pg_switch_wal()");
    await untilDrained(system.server.dataDirectory);
    expect(await contentsAt(system, ["--to-latest"])).toEqual(end);
  });
});

async function fill(system: System) {
  const { sql } = system.server;
  await makeTables(sql);
  await addRow(sql, 1);
  const end = await readContents(sql);
  await sql("SELECT pg_switch_wal()");
  return end;
}

/** Far below what a disk does: the smallest cluster takes a quarter of a minute. */
async function startSlowly(system: System, args: readonly string[]): Promise<StartedProgram> {
  const path = system.path("slow.yaml");
  const repository = `{ url: ${system.repositoryDirectory}, maxBytesPerSecond: 2MiB }`;
  await writeFile(path, `server: main\nrepositories:\n  - ${repository}\n`);
  return startTidemark([...args, "--config", path], { user: system.server.folder.user });
}

/** A running backup's mark says where it begins once the server is in backup mode. */
async function isCopying(system: System): Promise<boolean> {
  const base = join(system.repositoryDirectory, "main", "base");
  const [id] = await readdir(base).catch(() => []);
  if (id === undefined) return false;
  const mark = await readFile(join(base, id, "x-tidemark", "running.json"), "utf8").catch(() => "");
  return mark.includes('"beginWal": "');
}

/** What it said at the end, for people: no log lines. */
function wordsOf(system: System, stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  return lines
    .join("\n")
    .replaceAll(system.path("interrupted"), "<dir>")
    .replace(/\d{8}T\d{6}/g, "<id>")
    .replace(/\d{4}-\d{2}-\d{2}T[\d:.]+Z/g, "<time>");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
