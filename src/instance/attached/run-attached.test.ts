import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { eventually, fakeCluster, startAgent, targetOf } from "../../agent/testing/agent-bench.ts";
import { quoteForShell } from "../../agent/shell-text.ts";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { temporaryStore } from "../../storage/testing/temporary-store.ts";
import { askAttached, readAttachedStatus } from "./attached-client.ts";
import { attachedFolder } from "./attached-folder.ts";
import type { AttachedSpec } from "./attached-spec.ts";
import type { AttachedStatus } from "./attached-status.ts";
import { runAttached } from "./run-attached.ts";

const segment = "000000010000000000000001";

/** A data directory without a server, and the process beside it in this one. */
async function stage(change: Partial<AttachedSpec> = {}) {
  const cluster = await fakeCluster();
  const folder = attachedFolder(await temporaryFolder());
  const backups = await temporaryFolder();
  let spec: AttachedSpec = {
    format: 1,
    version: 1,
    server: "default/main",
    name: "main",
    uid: "u",
    dataDirectory: cluster.dataDirectory,
    spoolDirectory: join(await temporaryFolder(), "spool"),
    connection: { host: backups, port: 1, database: "postgres", sslMode: "disable" },
    archive: {
      server: "main",
      repositories: [{ name: "store", url: backups }],
      walCompression: "none",
      policy: "all",
      backupCompression: "none",
      fastCheckpoint: true,
      requireEmptyArchive: true,
      tags: {},
    },
    ...change,
  };
  const write = async (next: AttachedSpec) => {
    spec = next;
    await writeFile(folder.spec, JSON.stringify(spec), { mode: 0o600 });
  };
  await write(spec);
  const status = async (): Promise<AttachedStatus> => {
    const found = await readAttachedStatus(folder.root);
    if (found === undefined) throw new Error("nobody serves the folder");
    return found;
  };
  return {
    cluster,
    folder,
    backups,
    get spec() {
      return spec;
    },
    write,
    status,
    start: async () => {
      const stop = new AbortController();
      const ended = runAttached({
        folder: folder.root,
        program: ["/bin/false"],
        clock: systemClock,
        log: silentLog,
        signal: stop.signal,
      });
      ended.catch(() => undefined);
      onTestFinished(async () => {
        stop.abort();
        await ended.catch(() => undefined);
      });
      await vi.waitFor(status, { timeout: 10_000, interval: 20 });
      return { ended };
    },
    until: async (fits: (found: AttachedStatus) => void) => eventually(async () => fits(await status())),
  };
}

describe("the process beside a server", () => {
  test("archives what is ready, says what archive_command must be, and that PostgreSQL does not answer", async () => {
    const { cluster, folder, spec, start, status, until, backups } = await stage();
    await cluster.finish({ name: segment });
    await start();

    await until(({ archiving, archiveCommand, postgresError, systemIdentifier }) => {
      expect(archiving?.lastArchived?.name).toBe(segment);
      expect(archiveCommand).toContain(`/${systemIdentifier}/archive.sh`);
      expect(postgresError?.code).toBe("postgres-failed");
    });
    const { systemIdentifier = "" } = await status();
    const script = await readFile(join(spec.spoolDirectory, systemIdentifier, "archive.sh"), "utf8");
    expect(script).toContain(`wal push --config ${quoteForShell(folder.pushConfiguration)}`);
    expect(JSON.parse(await readFile(folder.pushConfiguration, "utf8"))).toMatchObject({
      server: "main",
      repositories: [{ url: backups }],
    });
    expect((await stat(folder.pushConfiguration)).mode & 0o777).toBe(0o600);
  });

  test("is refused where another agent archives the same data directory, and takes over when that ends", async () => {
    const { cluster, spec, start, until } = await stage();
    const other = await startAgent({
      dataDirectory: cluster.dataDirectory,
      spoolDirectory: spec.spoolDirectory,
      targets: [targetOf(await temporaryStore())],
    });
    await start();

    await until(({ archivingError }) => {
      expect(archivingError).toMatchObject({
        code: "locked",
        message: expect.stringContaining("serves the spool") as string,
      });
    });
    await other.stop();
    await until(({ archiving }) => expect(archiving).toBeDefined());
  });

  test("does not begin in an archive that is not empty, unless it was begun through its own spool", async () => {
    const first = await stage();
    await first.cluster.finish({ name: segment });
    await first.start();
    await first.until(({ archiving }) => expect(archiving?.lastArchived?.name).toBe(segment));
    const { archive, spoolDirectory, dataDirectory } = first.spec;
    await askAttached(first.folder.root, { op: "stop" });

    const stranger = await stage({ archive, dataDirectory });
    await stranger.start();
    await stranger.until(({ archivingError }) => {
      expect(archivingError).toMatchObject({
        code: "object-exists",
        message: expect.stringContaining("expected an empty archive") as string,
      });
    });

    const successor = await stage({ archive, dataDirectory, spoolDirectory });
    await successor.start();
    await successor.until(({ archiving }) => expect(archiving).toBeDefined());
  });

  test("follows another specification, and gives each repository its own server name", async () => {
    const { cluster, folder, spec, write, start, until, backups } = await stage();
    await start();
    const second = await temporaryFolder();
    await write({
      ...spec,
      version: 2,
      archive: {
        ...spec.archive,
        repositories: [...spec.archive.repositories, { name: "second", url: second, server: "main-2" }],
      },
    });

    expect(await askAttached(folder.root, { op: "configure" })).toEqual({ version: 2 });
    await cluster.finish({ name: segment });
    await until(({ archiving }) => expect(archiving?.lastArchived?.name).toBe(segment));
    for (const name of [join(backups, "main"), join(second, "main-2")]) {
      expect((await stat(join(name, "wals", "0000000100000000", segment))).isFile()).toBe(true);
    }
  });

  test("notes a backup that fails, forgets it when told to, and ends when it is asked", async () => {
    const { folder, start, until } = await stage();
    const { ended } = await start();
    await askAttached(folder.root, { op: "backup", id: "one" });

    await until(({ backups }) => {
      expect(backups).toMatchObject([{ id: "one", state: "failed", error: { code: "postgres-failed" } }]);
    });
    await askAttached(folder.root, { op: "forget-backup", id: "one" });
    await until(({ backups }) => expect(backups).toEqual([]));
    await expect(askAttached(folder.root, { op: "promote" } as never)).rejects.toMatchObject({
      code: "usage",
    });
    await askAttached(folder.root, { op: "stop" });
    await ended;
    expect(await readAttachedStatus(folder.root)).toBeUndefined();
  });

  test("says that a backup was running when the process before it was killed", async () => {
    const { folder, start, status } = await stage();
    const job = {
      id: "one",
      state: "running",
      phase: "copying",
      doneBytes: 1,
      startedAt: "2026-11-21T12:00:00Z",
    };
    await start();
    await askAttached(folder.root, { op: "stop" });
    await writeFile(join(folder.backups, "one.json"), JSON.stringify(job));
    await vi.waitFor(async () => expect(await readAttachedStatus(folder.root)).toBeUndefined());
    await start();

    expect((await status()).backups).toMatchObject([
      {
        id: "one",
        state: "failed",
        error: { message: "the agent beside the server ended during the backup" },
      },
    ]);
  });

  test("needs a specification, and a folder of its own", async () => {
    const { folder, start, spec, write } = await stage();
    await start();
    const options = { program: [], clock: systemClock, log: silentLog, signal: AbortSignal.abort() };

    await expect(runAttached({ ...options, folder: folder.root })).rejects.toMatchObject({
      code: "locked",
      message: expect.stringContaining("serves the server in") as string,
    });
    await expect(runAttached({ ...options, folder: await temporaryFolder() })).rejects.toMatchObject({
      code: "config",
      message: expect.stringContaining('it has no "server.json"') as string,
    });
    await write({ ...spec, format: 2 } as never);
    await expect(askAttached(folder.root, { op: "configure" })).rejects.toMatchObject({ code: "config" });
  });
});
