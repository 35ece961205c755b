import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { expectedSystem, temporaryFolder, writeWal } from "../../archive/testing/archive-bench.ts";
import { makeSegment, segmentName } from "../../archive/testing/wal-files.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import { instanceFolder, type InstanceFolder } from "../instance-folder.ts";
import { keepOwnWal, readRescueNote, rescueWal } from "./rescued-wal.ts";

const position = { replayed: parseLsn("0/500028"), received: parseLsn("0/500028") };

async function withWal(segments: readonly number[]): Promise<InstanceFolder> {
  const folder = instanceFolder(await temporaryFolder());
  const walDirectory = join(folder.data, "pg_wal");
  await mkdir(join(walDirectory, "archive_status"), { recursive: true });
  for (const segment of segments) await segmentIn(walDirectory, segment);
  return folder;
}

async function segmentIn(folder: string, segment: number, content = segment): Promise<void> {
  await writeWal(folder, segmentName(segment), makeSegment({ name: segmentName(content) }));
}

/** What an earlier failover brought to this instance. */
async function rescuedBefore({ root }: InstanceFolder, segments: readonly number[]): Promise<string> {
  const folder = join(root, "rescued");
  await mkdir(folder);
  for (const segment of segments) await segmentIn(folder, segment);
  const note = { format: 1, key: "before", unarchived: segments.map((segment) => segmentName(segment)) };
  await writeFile(join(folder, "rescue.json"), JSON.stringify(note));
  return folder;
}

const optionsOf = (folder: InstanceFolder, dead: InstanceFolder) => ({
  folder,
  dead,
  key: "now",
  position,
  expected: expectedSystem,
  user: undefined,
  signal: AbortSignal.timeout(20_000),
});

test("what a primary had not archived of its own predecessor's WAL is taken along by the one after it", async () => {
  const dead = await withWal([4, 5, 6]);
  await rescuedBefore(dead, [2, 3]);
  const folder = await withWal([4]);
  await rescuedBefore(folder, [1]);

  const note = await rescueWal(optionsOf(folder, dead));

  expect(note.unarchived).toEqual([1, 2, 3, 5].map((segment) => segmentName(segment)));
  expect(await readRescueNote(folder)).toEqual(note);
  expect((await readdir(join(folder.root, "rescued"))).toSorted()).toEqual([
    ...[1, 2, 3, 5, 6].map((segment) => segmentName(segment)),
    "rescue.json",
  ]);
});

test("the same when the primary's own data are gone; what is in the archive, or was recycled, is not", async () => {
  const dead = await withWal([]);
  await rescuedBefore(dead, [2]);
  const folder = await withWal([4, 5]);
  const before = await rescuedBefore(folder, [1, 3]);
  await segmentIn(before, 3, 9);

  expect((await keepOwnWal(optionsOf(folder, dead), "no such file")).unarchived).toEqual(
    [1, 2, 4].map((segment) => segmentName(segment)),
  );
  await writeFile(join(folder.root, "rescued", "archived"), "");
  expect((await keepOwnWal(optionsOf(folder, await withWal([])), "no such file")).unarchived).toEqual([
    segmentName(4),
  ]);
});
