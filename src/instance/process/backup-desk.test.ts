import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import type { BackupResult } from "../../backup/backup-result.ts";
import { abortError } from "../../common/abort.ts";
import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { silentLog } from "../../common/log.ts";
import { parseBackupId } from "../../repository/backup-id.ts";
import { BackupDesk, type BackupOrder } from "./backup-desk.ts";
import { BackupJobs } from "./backup-jobs.ts";

/** A desk whose backups end when the test says so, and as it says. */
async function desk(directory?: string) {
  const jobs = await BackupJobs.open(directory ?? (await temporaryFolder()), silentLog);
  const orders: (BackupOrder & PromiseWithResolvers<BackupResult>)[] = [];
  const take = async (order: BackupOrder) => {
    const outcome = Promise.withResolvers<BackupResult>();
    order.signal.addEventListener("abort", () => outcome.reject(abortError(order.signal)));
    orders.push({ ...order, ...outcome });
    return outcome.promise;
  };
  return {
    jobs,
    orders,
    desk: new BackupDesk({ jobs, instance: "pg-1", take, clock: systemClock, log: silentLog }),
  };
}

const lost = "instance manager was restarted during backup on instance pg-1";

describe("the desk for base backups", () => {
  test("takes one at a time; the same ID again changes nothing", async () => {
    const { desk: open, jobs, orders } = await desk();

    await Promise.all([open.begin({ id: "a", name: "first" }), open.begin({ id: "a" })]);
    await expect(open.begin({ id: "b" })).rejects.toMatchObject({
      code: "locked",
      message: 'a base backup of instance "pg-1" is running, as job "a"',
    });
    expect(orders.map(({ name }) => name)).toEqual(["first"]);
    orders[0]?.reject(new EngineError("store-denied", "no access"));
    await expect.poll(() => jobs.get("a")?.state).toBe("failed");
    await open.begin({ id: "a" });
    await open.begin({ id: "b" });

    expect(orders).toHaveLength(2);
    expect(jobs.get("a")?.error).toEqual({ code: "store-denied", message: "no access" });
    await open.close();
  });

  test("a job that nobody wants any more is given up and forgotten, and the next one can begin", async () => {
    const { desk: open, jobs, orders } = await desk();
    await open.begin({ id: "a" });
    await open.begin({ id: "a" });

    await open.cancelJob("other");
    expect(jobs.get("a")?.state).toBe("running");
    await open.cancelJob("a");
    await open.cancelJob("a");

    expect(orders[0]?.signal.aborted).toBe(true);
    expect(jobs.list()).toEqual([]);
    await open.begin({ id: "b" });
    expect(jobs.get("b")?.state).toBe("running");
    await open.close();
  });

  test("shows how far a backup is, and its ID as soon as there is one", async () => {
    const { desk: open, jobs, orders } = await desk();
    await open.begin({ id: "a" });

    orders[0]?.onId(parseBackupId("20261121T100000"));
    const startedAt = new Date();
    orders[0]?.onProgress({
      phase: "copying",
      bytesDone: 5,
      bytesTotal: 10,
      filesDone: 1,
      filesTotal: 2,
      startedAt,
    });

    expect(jobs.get("a")).toMatchObject({
      state: "running",
      phase: "copying",
      doneBytes: 5,
      totalBytes: 10,
      backupId: "20261121T100000",
    });
    await open.close();
  });

  test("that was killed finds what was running as failed, and says why", async () => {
    const directory = await temporaryFolder();
    await (await desk(directory)).desk.begin({ id: "a" });

    const next = await desk(directory);
    await next.desk.recover();

    expect(next.jobs.get("a")).toMatchObject({
      state: "failed",
      stoppedAt: expect.any(String) as string,
      error: { code: "aborted", message: lost },
    });
    const again = await desk(directory);
    expect(again.jobs.get("a")?.state).toBe("failed");
  });

  test("that is closed gives up what is running for the same reason, and begins nothing more", async () => {
    const { desk: open, jobs } = await desk();
    await open.begin({ id: "a" });

    await open.close();

    expect(jobs.get("a")).toMatchObject({ state: "failed", error: { code: "aborted", message: lost } });
    await expect(open.begin({ id: "b" })).rejects.toMatchObject({ code: "aborted" });
  });

  test("gives up what is running when the server is stopped, and is open for the next", async () => {
    const { desk: open, jobs, orders } = await desk();
    await open.begin({ id: "a" });

    await open.cancel(new EngineError("aborted", "the server was stopped"));
    await open.begin({ id: "b" });

    expect(jobs.get("a")?.error?.message).toBe("the server was stopped");
    expect(orders).toHaveLength(2);
    await open.close();
  });
});
