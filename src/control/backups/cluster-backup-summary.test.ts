import { describe, expect, test } from "vitest";
import type { RepositoryWindow } from "../maintenance/cluster-windows.ts";
import type { Resource } from "../resources/resource.ts";
import type { BackupStatus } from "./backup-status.ts";
import { summarizeBackups } from "./cluster-backup-summary.ts";
import { backupDraft, clusterDraft, resourceOf } from "./testing/sample-objects.ts";

const uid = "uid-of-pg";

function backup(status: BackupStatus, clusterName = "pg"): Resource {
  const spec = { cluster: { name: clusterName } };
  return resourceOf(backupDraft("b", spec), { status: { clusterUID: uid, ...status } });
}

function ended(phase: "completed" | "failed", hour: number, more: BackupStatus = {}): Resource {
  const time = `2026-11-21T${String(hour).padStart(2, "0")}:00:00Z`;
  return backup({ phase, method: "plugin", stoppedAt: time, reconciliationTerminatedAt: time, ...more });
}

function window(
  hours: readonly [number, number] | undefined,
  more: Partial<RepositoryWindow> = {},
): RepositoryWindow {
  const at = (hour: number | undefined) =>
    hour === undefined ? undefined : new Date(Date.UTC(2026, 10, 20, hour));
  return {
    repository: "store",
    objectStore: "store",
    serverName: "pg",
    readAt: new Date("2026-11-21T12:00:00Z"),
    firstRecoverabilityPoint: at(hours?.[0]),
    lastSuccessfulBackupTime: at(hours?.[1]),
    error: undefined,
    ...more,
  };
}

function summary(
  backups: readonly Resource[],
  windows?: readonly RepositoryWindow[],
  status?: Readonly<Record<string, unknown>>,
) {
  return summarizeBackups({ cluster: resourceOf(clusterDraft(), { uid, status }), backups, windows });
}

describe("the condition LastBackupSucceeded", () => {
  test.each([
    ["is not there before the first backup", [], undefined],
    ["is not changed by one that waits", [backup({ phase: "pending" })], undefined],
    [
      "is False while one runs",
      [ended("completed", 1), backup({ phase: "started" })],
      { status: "False", reason: "BackupStarted", message: "New Backup starting up" },
    ],
    [
      "is True after one that went well",
      [ended("failed", 1), ended("completed", 2)],
      { status: "True", reason: "LastBackupSucceeded", message: "Backup was successful" },
    ],
    [
      "is True after one that is not everywhere, and says where it is not",
      [
        ended("completed", 1, {
          destinations: [
            { objectStore: "near", destinationPath: "/near", serverName: "pg" },
            { destinationPath: "s3://far", serverName: "pg", error: "it is too slow" },
          ],
        }),
      ],
      {
        status: "True",
        reason: "LastBackupSucceeded",
        message: 'Backup was successful, but it is not in "s3://far" (it is too slow)',
      },
    ],
    [
      "is False after one that failed, with its error",
      [ended("completed", 1), ended("failed", 2, { error: "no space" })],
      { status: "False", reason: "LastBackupFailed", message: "no space" },
    ],
    [
      "knows nothing of another cluster's",
      [ended("completed", 1)].map(() => backup({ phase: "failed" }, "other")),
      undefined,
    ],
    [
      "knows nothing of an earlier cluster's of the same name",
      [ended("failed", 1, { clusterUID: "another" })],
      undefined,
    ],
  ])("%s", (_title, backups, expected) => {
    const { lastBackup } = summary(backups);

    expect(lastBackup).toEqual(
      expected === undefined ? undefined : { type: "LastBackupSucceeded", ...expected },
    );
  });
});

describe("the times of a cluster's backups", () => {
  test("are those of its repositories", () => {
    const inTree = window([5, 8], { repository: "in-tree", objectStore: undefined });

    expect(summary([], [window([3, 7]), inTree]).fields).toEqual({
      firstRecoverabilityPoint: "2026-11-20T03:00:00Z",
      firstRecoverabilityPointByMethod: {
        plugin: "2026-11-20T03:00:00Z",
        barmanObjectStore: "2026-11-20T05:00:00Z",
      },
      lastSuccessfulBackup: "2026-11-20T08:00:00Z",
      lastSuccessfulBackupByMethod: {
        plugin: "2026-11-20T07:00:00Z",
        barmanObjectStore: "2026-11-20T08:00:00Z",
      },
    });
  });

  test("are those of its Backups while these are newer", () => {
    const backups = [ended("completed", 2), ended("completed", 1), ended("failed", 3), ended("failed", 4)];

    expect(summary(backups, [window([3, 7])]).fields).toMatchObject({
      lastSuccessfulBackup: "2026-11-21T02:00:00Z",
      lastSuccessfulBackupByMethod: { plugin: "2026-11-21T02:00:00Z" },
      lastFailedBackup: "2026-11-21T04:00:00Z",
    });
  });

  test("stay while nothing better is known", () => {
    const status = summary([ended("completed", 2), ended("failed", 1)], [window([3, 7])]).fields;
    const unread = window(undefined, { readAt: undefined, error: "x" });

    expect(summary([], undefined, status).fields).toEqual(status);
    expect(summary([], [unread], status).fields).toEqual(status);
  });

  test("go when the last backup is gone, but for when the last one was taken", () => {
    const status = summary([], [window([3, 7])]).fields;

    expect(summary([], [window(undefined)], status).fields).toEqual({
      lastSuccessfulBackup: "2026-11-20T07:00:00Z",
      lastSuccessfulBackupByMethod: { plugin: "2026-11-20T07:00:00Z" },
    });
  });

  test("are not there for a cluster without any", () => {
    expect(summary([], undefined).fields).toEqual({});
  });
});
