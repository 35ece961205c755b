import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { timelineId } from "../postgres/timeline.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { formatBackupInfo } from "./backup-info-text.ts";
import { readPlanFacts } from "./plan-facts.ts";
import { parseServerName } from "./server-name.ts";
import { backupEntry } from "./testing/plan-facts.ts";

async function repositoryOf(objects: Readonly<Record<string, string | Uint8Array>>) {
  const root = await mkdtemp(join(tmpdir(), "tidemark-facts-"));
  const store = await openFileStore({ root });
  for (const [key, content] of Object.entries(objects)) await store.put(key, [Buffer.from(content)]);
  return {
    repository: { name: "r", server: parseServerName("srv"), store, log: silentLog },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

const segment = "wals/0000000100000000/000000010000000000000002";

test("facts are gathered from a repository with junk, unfinished and unreadable backups, and compressed histories", async () => {
  const done = backupEntry({ id: "20261116T030000", begin: "0/2000028", end: "0/2000138" });
  const later = backupEntry({
    id: "20261115T030000",
    begin: "0/2000028",
    end: "0/2000138",
    endTime: "2026-11-22T00:00:00Z",
  });
  await using held = await repositoryOf({
    "srv/base/20261116T030000/backup.info": formatBackupInfo(done.info),
    "srv/base/20261115T030000/backup.info": formatBackupInfo(later.info),
    "srv/base/20261115T030000/annotations/keep": "standalone",
    "srv/base/20261117T030000/data.tar.gz": "x",
    "srv/base/20261118T030000/backup.info": "status=DONE\n",
    "srv/base/20261119T030000/backup.info": "status=FAILED\nerror=no\n",
    "srv/base/notes/backup.info": "status=DONE\n",
    [`srv/${segment}.gz`]: "gz",
    [`srv/${segment}`]: "whole segment",
    [`srv/${segment}.00000028.backup`]: "label",
    [`srv/${segment}.gz.sha256`]: "junk",
    "srv/wals/0000000100000000/000000010000000000000003.partial": "p",
    "srv/wals/00000002.history.gz": gzipSync("1\t0/3800000\tfirst\n"),
    "srv/wals/00000003.history": "1\t0/3800000\tfirst\n\n2\t0/5800000\tsecond\n",
    "srv2/base/20261201T030000/backup.info": formatBackupInfo(done.info),
  });

  const facts = await readPlanFacts(held.repository);

  expect(facts.catalogue.map(({ id, kind, keep }) => [id, kind, keep])).toEqual([
    ["20261115T030000", "done", "standalone"],
    ["20261116T030000", "done", undefined],
    ["20261117T030000", "incomplete", undefined],
    ["20261118T030000", "unreadable", undefined],
    ["20261119T030000", "failed", undefined],
  ]);
  // By the end of the backup, not by its name.
  expect(facts.backups.map(({ id }) => id)).toEqual(["20261116T030000", "20261115T030000"]);
  expect([...facts.inventory.segments.values()].map(({ key }) => key)).toEqual([`srv/${segment}`]);
  expect([...facts.inventory.partials.keys()]).toEqual(["000000010000000000000003"]);
  expect(
    [...facts.histories]
      .toSorted(([a], [b]) => a - b)
      .map(([timeline, { entries }]) => [timeline, entries.length]),
  ).toEqual([
    [2, 1],
    [3, 2],
  ]);
});

test.each([
  ["that is no history", "what?", /the history file of timeline 2 is invalid/],
  [
    "that is cut",
    gzipSync("1\t0/3800000\tfirst\n").subarray(0, 12),
    /could not read .*00000002\.history\.gz/,
  ],
])("a history file %s is known to be damaged", async (_, content, message) => {
  const key = typeof content === "string" ? "srv/wals/00000002.history" : "srv/wals/00000002.history.gz";
  await using held = await repositoryOf({ [key]: content });

  const { histories, damagedHistories } = await readPlanFacts(held.repository);

  expect([...histories.keys()]).toEqual([]);
  expect(damagedHistories.get(timelineId(2))?.message).toMatch(message);
});

test("an empty repository has no facts", async () => {
  await using held = await repositoryOf({});

  const facts = await readPlanFacts(held.repository);

  expect([facts.catalogue.length, facts.backups.length, facts.inventory.segments.size]).toEqual([0, 0, 0]);
});
