import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { createLog, silentLog } from "../../common/log.ts";
import type { BackupJob } from "../instance-status.ts";
import { BackupJobs } from "./backup-jobs.ts";

const running: BackupJob = {
  id: "b-1",
  state: "running",
  phase: "starting",
  doneBytes: 0,
  startedAt: "2026-11-21T10:00:00.000Z",
};

describe("the jobs of base backups", () => {
  test("are there again after a restart, oldest first, as they were written last", async () => {
    const directory = join(await temporaryFolder(), "backups");
    const jobs = await BackupJobs.open(directory, silentLog);
    await jobs.write({ ...running, id: "later", startedAt: "2026-11-21T11:00:00.000Z" });
    await jobs.write(running);
    await jobs.write({ ...running, state: "completed", backupId: "20261121T100000" });
    jobs.show({ ...running, id: "later", startedAt: "2026-11-21T11:00:00.000Z", doneBytes: 7 });

    const again = await BackupJobs.open(directory, silentLog);

    expect(again.list().map(({ id, state, doneBytes }) => [id, state, doneBytes])).toEqual([
      ["b-1", "completed", 0],
      ["later", "running", 0],
    ]);
  });

  test("are forgotten for good when they have ended, and not before", async () => {
    const directory = await temporaryFolder();
    const jobs = await BackupJobs.open(directory, silentLog);
    await jobs.write(running);

    await expect(jobs.forget("b-1")).rejects.toMatchObject({ code: "locked" });
    await jobs.write({ ...running, state: "failed" });
    await jobs.forget("b-1");
    await jobs.forget("b-1");

    expect(jobs.list()).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  test.each(["", "../instance", ".hidden", "a/b", "a".repeat(129)])(
    "are not known by an ID that cannot name a file: %j",
    async (id) => {
      const jobs = await BackupJobs.open(await temporaryFolder(), silentLog);

      await expect(jobs.forget(id)).rejects.toMatchObject({ code: "usage" });
    },
  );

  test("that cannot be read are left alone and said, and what a killed process left is removed", async () => {
    const directory = await temporaryFolder();
    await writeFile(join(directory, "damaged.json"), "{");
    await writeFile(join(directory, "notes.txt"), "");
    await writeFile(join(directory, ".b-1.json.1-ab.tmp"), "{");
    const warnings: string[] = [];
    const log = createLog((level, message) => warnings.push(`${level}: ${message}`));

    const jobs = await BackupJobs.open(directory, log);

    expect(jobs.list()).toEqual([]);
    expect((await readdir(directory)).sort()).toEqual(["damaged.json", "notes.txt"]);
    expect(warnings).toEqual(["warn: could not read what is known of a backup job"]);
  });
});
