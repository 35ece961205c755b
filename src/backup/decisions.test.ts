import { mkdtemp, mkdtempDisposable, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock, type Clock } from "../common/clock.ts";
import { silentLog } from "../common/log.ts";
import { parseBackupId } from "../repository/backup-id.ts";
import { backupInfoKey, backupManifestKey } from "../repository/keys.ts";
import { parseServerName } from "../repository/server-name.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { resolveOptions } from "./backup-options.ts";
import { serverTime } from "./backup-records.ts";
import { findIncompleteBackups, lifeSign } from "./incomplete.ts";
import { runningMarkKey } from "../repository/running-mark.ts";
import { takeBackupId } from "./take-id.ts";
import { testBackup } from "./testing/test-backup.ts";

const mark = { systemIdentifier: "1", host: "a", dataDirectory: "/d", beginWal: undefined };
const at = (minutes: number) => new Date(minutes * 60_000);

describe("whether an incomplete backup is dead", () => {
  const id = parseBackupId("20260101T000000");
  const backup = { id, mark, wasComplete: false, lastSignAt: at(100), objects: 1, bytes: 1 };

  it.each([
    ["silent for long", backup, { now: at(131) }, "dead"],
    ["heard of lately", backup, { now: at(129) }, "perhaps-running"],
    ["of a server whose lock is held", backup, { now: at(101), lockHolder: mark }, "dead"],
    ["of another host", backup, { now: at(101), lockHolder: { ...mark, host: "b" } }, "perhaps-running"],
    [
      "of another directory",
      backup,
      { now: at(101), lockHolder: { ...mark, dataDirectory: "/e" } },
      "perhaps-running",
    ],
    ["Barman's, ever so old", { ...backup, mark: undefined }, { now: at(99_999) }, "perhaps-running"],
    [
      "of ours, deleted by Barman",
      { ...backup, mark: undefined, wasComplete: true },
      { now: at(101) },
      "dead",
    ],
  ])("one %s", (_, incomplete, witness, kind) => {
    expect(lifeSign(incomplete, witness).kind).toBe(kind);
  });

  it("is told from what Barman leaves when it deletes one of ours: a manifest without a mark", async () => {
    await using root = await mkdtempDisposable(join(tmpdir(), "leftover-"));
    const store = await openFileStore({ root: root.path });
    const server = parseServerName("pg1");
    const repository = { name: "m", server, store, log: silentLog };
    const put = async (key: string) => store.put(key, [Buffer.from("{}")]);
    await put(backupManifestKey(server, id));
    const [left] = await findIncompleteBackups(repository);
    await put(runningMarkKey(server, id));
    const [running] = await findIncompleteBackups(repository);
    await put(backupInfoKey(server, id));

    expect(left).toMatchObject({ id, mark: undefined, wasComplete: true, objects: 1 });
    expect(running).toMatchObject({ id, wasComplete: false });
    expect(await findIncompleteBackups(repository)).toEqual([]);
  });
});

describe("a backup ID", () => {
  it("is taken by one of two backups that start in the same second; the other waits for the next", async () => {
    const root = await mkdtemp(join(tmpdir(), "take-"));
    try {
      const store = await openFileStore({ root });
      const repository = { name: "m", server: parseServerName("pg1"), store, log: silentLog };
      let now = Date.parse("2026-01-01T00:00:00.400Z");
      const clock: Clock = {
        ...systemClock,
        now: () => new Date(now),
        sleep: async (ms) => {
          now += ms;
        },
      };
      const signal = new AbortController().signal;

      const first = await takeBackupId(testBackup([repository], { clock, signal }).destinations, mark, {
        clock,
        signal,
      });
      const second = await takeBackupId(testBackup([repository], { clock, signal }).destinations, mark, {
        clock,
        signal,
      });

      expect([first, second]).toEqual(["20260101T000000", "20260101T000001"]);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});

describe("options", () => {
  it.each(["latest", "20260101T000000", "two\nlines", "", " padded", "None", "#x"])(
    "refuse the name %j",
    (name) => {
      expect(() => resolveOptions({ name })).toThrow("cannot be the name of a backup");
    },
  );

  it("have sensible defaults", () => {
    expect(resolveOptions({ name: "nightly 1" })).toMatchObject({
      name: "nightly 1",
      form: { codec: "zstd" },
      maxPartBytes: 2 ** 30,
    });
    expect(() => resolveOptions({ lanes: 0 })).toThrow("lanes is 0");
    expect(() => resolveOptions({ codec: "xz" })).toThrow('cannot be written with "xz"');
  });
});

it.each([
  ["2026-01-15 14:30:00.123456+00:00", "up", "2026-01-15T14:30:00.124Z"],
  ["2026-01-15 14:30:00.123456+00:00", "down", "2026-01-15T14:30:00.123Z"],
  ["2026-01-15 14:30:00.123000+00:00", "up", "2026-01-15T14:30:00.123Z"],
] as const)("the server's %s, rounded %s, is %s", (text, round, time) => {
  expect(serverTime(text, round).toISOString()).toBe(time);
});
