import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AgentStatus } from "../src/agent/agent-status.ts";
import { openFileStore } from "../src/storage/file/file-store.ts";
import { readWalInventory } from "../src/repository/wal-inventory.ts";
import { startServer } from "../src/postgres/server.ts";
import { findGaps, findUnarchived, readStored, untilDrained } from "./support/archive-audit.ts";
import { contentsAt, restoreAndStart } from "./support/restored.ts";
import { makeTables, readContents, wakeArchiver, writeSegments } from "./support/rows.ts";
import { mountSmallDisk, whyNoSmallDisk } from "./support/small-disk.ts";
import { startSystem, type System } from "./support/system.ts";
import { until } from "./support/until.ts";

/*
 * A full disk, wherever it is, costs time and says so: it loses no WAL, and leaves nothing that looks whole and is not.
 */

const why = await whyNoSmallDisk();
const skipped = why === undefined ? "" : ` (skipped: ${why})`;
const mib = 1024 * 1024;

const drain = async ({ server }: System) =>
  untilDrained(server.dataDirectory, { wake: async () => wakeArchiver(server.sql) });

/** Every segment in the repository is whole and PostgreSQL's own, acknowledged or not. */
async function requireSoundArchive(system: System): Promise<number> {
  const { server, repositoryDirectory } = system;
  // Opened anew: a store does not work on when another file system was mounted over it.
  const store = await openFileStore({ root: repositoryDirectory });
  const repository = { ...system.repository, store };
  expect(await findUnarchived(repository, server.dataDirectory)).toEqual([]);
  const { segments } = await readWalInventory(repository);
  for (const name of segments.keys()) expect(await readStored(repository, name)).toHaveLength(mib);
  expect(await findGaps(repository, mib)).toEqual([]);
  await store.close();
  return segments.size;
}

async function status(system: System): Promise<AgentStatus> {
  const place = ["-D", system.server.dataDirectory, "--spool", system.spoolDirectory];
  return system.json<AgentStatus>(["agent", "status", ...place]);
}

describe.skipIf(why !== undefined)(`a full disk${skipped}`, () => {
  test("under the repository: archiving waits and resumes, a backup fails and leaves nothing that looks whole", async () => {
    await using system = await startSystem();
    const { server } = system;
    await using disk = await mountSmallDisk(system.repositoryDirectory, "size=64m", server.folder.user);
    await makeTables(server.sql);
    await using _agent = await system.agent();
    const backUp = ["base", "create", "-D", server.dataDirectory, "--wal-timeout", "60"];
    await system.json(backUp);
    await writeSegments(server.sql, 2, 1);
    await drain(system);

    await disk.leaveFree(300_000);
    await writeSegments(server.sql, 12, 10);
    await until(async () => {
      const { repositories, waitingFiles } = await status(system);
      return repositories[0]?.state === "failing" && waitingFiles >= 3
        ? undefined
        : `${waitingFiles} files wait`;
    });

    const now = await status(system);
    expect(now.repositories[0]?.error?.message).toMatch(/no space left/);
    expect(now.waitingBytes).toBe(now.waitingFiles * mib);
    expect(Date.parse(now.oldestWaitingSince ?? "")).toBeLessThan(Date.now());
    expect(await server.sql("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 14 }]);
    const stored = await requireSoundArchive(system);

    const failed = await system.run(backUp);
    expect(failed).toMatchObject({ code: 6, stderr: expect.stringMatching(/no space left/) as string });
    expect(failed.stderr).not.toMatch(/^\s+at /m);
    const listed = await system.json<{ backups: { status: string }[] }>(["base", "list"]);
    expect(JSON.stringify(listed).match(/"done"/g)).toHaveLength(1);

    await disk.leaveFree(40 * mib);
    await drain(system);
    expect(await requireSoundArchive(system)).toBeGreaterThan(stored);
    const { id } = await system.json<{ id: string }>(backUp);
    const rows = await readContents(server.sql);
    await drain(system);
    expect(await contentsAt(system, ["--backup", id])).toEqual(rows);
  });

  test("under the spool costs speed only: PostgreSQL's command archives by itself", async () => {
    await using system = await startSystem();
    const { server } = system;
    await using disk = await mountSmallDisk(system.spoolDirectory, "size=1m", server.folder.user);
    await makeTables(server.sql);
    await using _agent = await system.agent();
    await writeSegments(server.sql, 2, 1);
    await drain(system);

    await disk.leaveFree(0);
    await writeSegments(server.sql, 3, 10);
    await drain(system);
    expect(await requireSoundArchive(system)).toBeGreaterThanOrEqual(5);

    await disk.leaveFree(mib / 2);
    await writeSegments(server.sql, 3, 20);
    await drain(system);
    expect(await requireSoundArchive(system)).toBeGreaterThanOrEqual(8);
  });

  test("under a restore is said before anything is written; when it fills up later, nothing can be started, and the next run succeeds", async () => {
    await using system = await startSystem();
    const { server } = system;
    const { user } = server.folder;
    await makeTables(server.sql);
    {
      await using _agent = await system.agent();
      await system.json(["base", "create", "-D", server.dataDirectory]);
      await writeSegments(server.sql, 2, 1);
      await drain(system);
    }
    const rows = await readContents(server.sql);
    const target = await server.folder.make("target");
    await using disk = await mountSmallDisk(target, "size=8m", user);
    const dataDirectory = join(target, "data");

    const refused = await system.run(["base", "restore", dataDirectory]);
    expect(refused).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/the restore needs [\d.]+ MiB on the file system of ".*target/) as string,
    });
    expect(await readdir(target)).toEqual([]);

    // Room enough for the bytes, but not for the files: this shows only on the way.
    await disk.remount("size=400m,nr_inodes=200");
    const broken = await system.run(["base", "restore", dataDirectory]);
    expect(broken).toMatchObject({ code: 6, stderr: expect.stringContaining(dataDirectory) as string });
    expect(broken.stderr).not.toMatch(/^\s+at /m);
    await expect(stat(join(dataDirectory, "global/pg_control"))).rejects.toMatchObject({ code: "ENOENT" });
    await disk.remount("size=400m,nr_inodes=20000");
    const start = startServer({ binaries: server.binaries, dataDirectory, readyTimeoutMs: 20_000 });
    await expect(start).rejects.toThrow(/ended before it could become ready/);

    expect(await system.run(["base", "restore", dataDirectory, "--clean", "--yes"])).toMatchObject({
      code: 0,
    });
    await system.json(["base", "restore", dataDirectory]);
    await using restored = await restoreAndStart(system, []);
    expect(await restored.contents()).toEqual(rows);
  });
});
