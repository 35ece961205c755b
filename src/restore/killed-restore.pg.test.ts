import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { connect } from "../postgres/connection.ts";
import { startServer } from "../postgres/server.ts";
import { testServer } from "../postgres/testing/test-server.ts";
import { markerName } from "./marker.ts";
import { planRestore } from "./plan-restore.ts";
import { startAndVerify } from "./start-and-verify.ts";
import { cleanUnfinishedRestore, requireEmptyDataDirectory } from "./target-directory.ts";
import type { RestoreJob } from "./testing/restore-process.ts";
import { archiveThrough, sampleBackup, sampleRepository } from "./testing/sample-repository.ts";

const script = fileURLToPath(new URL("testing/restore-process.ts", import.meta.url));

async function restoreProcess(job: RestoreJob, faultPoint?: string) {
  const child = spawn(process.execPath, [script, JSON.stringify(job)], {
    env: { ...process.env, ...(faultPoint === undefined ? {} : { TIDEMARK_FAULT_POINT: faultPoint }) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

test("a restore killed at any step cannot be started by mistake, is recognised, cleaned, and succeeds the next time", async () => {
  await using source = await testServer({ walSegmentSizeMib: 1 });
  const sample = await sampleRepository(source.folder);
  const spaceHome = await source.folder.make("space");
  await source.restart({ settings: sample.archiveSettings });
  await source.sql(`CREATE TABLESPACE fast LOCATION '${spaceHome}'`);
  await source.sql("CREATE TABLE t TABLESPACE fast AS SELECT generate_series(1, 1000) AS n");
  await sampleBackup(source, sample);
  await source.sql("INSERT INTO t VALUES (1001)");
  await archiveThrough(source, sample);
  await source.server.stop("fast");
  const dataDirectory = join(source.folder.path, "restored");
  const spaceDirectory = join(source.folder.path, "restored-space");
  const job: RestoreJob = {
    root: sample.directory,
    server: sample.repository.server,
    dataDirectory,
    tablespaces: [["fast", spaceDirectory]],
    restoreCommand: sample.restoreCommand,
    owner: source.folder.user,
  };
  const start = { binaries: source.binaries, dataDirectory };

  for (const point of ["marker-written", "mid-unpack", "unpacked", "settings-written", "before-control"]) {
    expect(await restoreProcess(job, `restore:${point}`)).toEqual({ code: null, signal: "SIGKILL" });

    await expect(startServer({ ...start, readyTimeoutMs: 20_000 })).rejects.toThrow(
      /ended before it could become ready/,
    );
    await expect(requireEmptyDataDirectory(dataDirectory)).rejects.toThrow(
      /holds an unfinished restore of backup/,
    );
    expect(await cleanUnfinishedRestore(dataDirectory)).toBe(true);
    expect(await readdir(dataDirectory)).toEqual([]);
    expect(await readdir(spaceDirectory).catch(() => [])).toEqual([]);
    expect(await cleanUnfinishedRestore(dataDirectory)).toBe(false);
  }
  // Killed behind the last file: the restore is whole, only its mark is left, and nothing cleans it away.
  expect(await restoreProcess(job, "restore:control-written")).toEqual({ code: null, signal: "SIGKILL" });
  await expect(cleanUnfinishedRestore(dataDirectory)).rejects.toThrow(/holds a finished restore of backup/);
  expect(await readdir(dataDirectory)).toContain(markerName);

  const plan = await planRestore({
    repositories: [sample.repository],
    request: { target: { kind: "latest" }, timeline: "latest", backup: "auto" },
  });
  if (plan.kind === "unreachable") throw new Error(plan.reason);
  const verified = await startAndVerify({ plan, start });
  try {
    await using session = await connect(verified.server!.connection);
    expect(await session.query("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 1001 }]);
    const [space] = await session.query<{ oid: string }>(
      "SELECT oid::text FROM pg_tablespace WHERE spcname = 'fast'",
    );
    expect(await readlink(join(dataDirectory, "pg_tblspc", space!.oid))).toBe(spaceDirectory);
    expect((await stat(spaceDirectory)).mode & 0o777).toBe(0o700);
  } finally {
    await verified.server!.stop("immediate");
  }
});
