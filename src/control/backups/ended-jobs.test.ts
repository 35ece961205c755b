import { expect, test } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { viewBackup } from "./backup-view.ts";
import { endedJobs, orphanedJobs } from "./ended-jobs.ts";
import { backupDraft, resourceOf } from "./testing/sample-objects.ts";
import { ScriptedInstance } from "./testing/scripted-instances.ts";

test("a job may be forgotten when it has ended, and its Backup has too or is gone", async () => {
  const clock = new ManualClock();
  const [one, two] = [new ScriptedInstance("pg-1", { clock }), new ScriptedInstance("pg-2", { clock })];
  const silent = new ScriptedInstance("pg-3", { clock });
  silent.isAnswering = false;
  for (const id of ["uid-of-done", "uid-of-open", "uid-of-gone"]) {
    await one.ask({ op: "backup", id });
    one.fail(id, "x");
  }
  for (const id of ["uid-of-done", "uid-of-gone"]) await two.ask({ op: "backup", id });
  two.complete("uid-of-done");
  const backups = [
    resourceOf(backupDraft("done"), { status: { phase: "failed" } }),
    resourceOf(backupDraft("open"), { status: { phase: "started" } }),
  ].map(viewBackup);

  expect(endedJobs([one, two, silent], backups)).toEqual([
    { instance: "pg-1", id: "uid-of-done" },
    { instance: "pg-1", id: "uid-of-gone" },
    { instance: "pg-2", id: "uid-of-done" },
  ]);
});

test("a job that runs for a Backup that was deleted is an orphan", async () => {
  const clock = new ManualClock();
  const one = new ScriptedInstance("pg-1", { clock });
  for (const id of ["uid-of-open", "uid-of-gone", "uid-of-gone-too"]) await one.ask({ op: "backup", id });
  one.fail("uid-of-gone-too", "x");
  const backups = [resourceOf(backupDraft("open"), { status: { phase: "started" } })].map(viewBackup);

  expect(orphanedJobs([one], backups)).toEqual([{ instance: "pg-1", id: "uid-of-gone" }]);
});
