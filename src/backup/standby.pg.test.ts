import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { serveTestCluster, testFolder, type TestFolder } from "../postgres/testing/test-server.ts";
import { readCatalogue } from "../repository/catalogue.ts";
import {
  backupLab,
  restoreCommand,
  serveRestored,
  unpackByHand,
  type BackupLab,
} from "./testing/backup-lab.ts";

const run = promisify(execFile);

/** A standby that is fed from the archive alone. */
async function standbyOf(lab: BackupLab, folder: TestFolder) {
  const dataDirectory = await folder.make("standby");
  await lab.server.server.stop("fast");
  await cp(lab.server.dataDirectory, dataDirectory, { recursive: true, force: true });
  await lab.server.restart();
  await rm(join(dataDirectory, "postmaster.pid"), { force: true });
  await writeFile(join(dataDirectory, "standby.signal"), "");
  await run("chown", ["-R", "--reference", lab.server.dataDirectory, dataDirectory]);
  return serveTestCluster({
    folder: await testFolder(),
    dataDirectory,
    binaries: lab.server.binaries,
    settings: {
      hot_standby: "on",
      archive_mode: "on",
      archive_command: "false",
      wal_retrieve_retry_interval: "100ms",
      restore_command: restoreCommand(join(lab.storeRoot, "pg1/wals")),
    },
  });
}

describe("a base backup from a standby", () => {
  it("needs its primary only to complete the last segment, and restores to the same data", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    await lab.server.sql("CREATE TABLE t AS SELECT generate_series(1, 50000) AS id");
    await using standby = await standbyOf(lab, folder);
    await lab.server.sql("INSERT INTO t SELECT generate_series(50001, 60000)");
    await lab.server.sql("CHECKPOINT");
    await lab.server.sql("SELECT pg_switch_wal()");
    while ((await standby.sql<{ count: number }>("SELECT count(*)::int FROM t"))[0]?.count !== 60_000) {
      await setTimeout(50);
    }
    await using connection = await standby.connect();
    await using primaryConnection = await lab.server.connect();

    const { id, manifest, info } = await lab.backUp({}, { connection, primaryConnection });
    const target = await folder.make("restored");
    await unpackByHand(lab, id, target);
    await using restored = await serveRestored(lab, folder, target);

    expect(manifest.fromStandby).toBe(true);
    expect(info.backupLabel).toContain("BACKUP FROM: standby");
    expect(await restored.sql("SELECT count(*)::int FROM t")).toEqual([{ count: 60_000 }]);
  });

  it("fails clearly when the standby is promoted meanwhile", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    await using standby = await standbyOf(lab, folder);
    await using connection = await standby.connect();
    let promoted: Promise<unknown> | undefined;

    const backup = lab.backUp(
      {},
      {
        connection,
        progress: ({ phase }) => {
          if (phase !== "copying" || promoted !== undefined) return;
          promoted = standby.sql("SELECT pg_promote(true)");
        },
      },
    );

    await expect(backup).rejects.toMatchObject({
      code: "backup-failed",
      message: "the standby was promoted during the backup",
    });
    await promoted;
    expect(await readCatalogue(lab.repository)).toEqual([]);
  });
});
