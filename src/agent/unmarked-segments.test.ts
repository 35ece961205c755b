import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readUnmarkedSegments, unmarkedSegments } from "./unmarked-segments.ts";

const mib = 1024 * 1024;
const segment = (number: number, timeline = 1) =>
  `${timeline.toString(16).padStart(8, "0")}00000000${number.toString(16).toUpperCase().padStart(8, "0")}`;
const done = (...numbers: readonly number[]) => numbers.map((number) => `${segment(number)}.done`);

function unmarked(wal: readonly string[], status: readonly string[]): readonly string[] {
  return unmarkedSegments(wal, status, mib).map(({ name }) => name);
}

test("a segment between marked ones that has no mark is found", () => {
  const wal = [1, 2, 3, 4, 5, 6].map((number) => segment(number));

  expect(unmarked(wal, [...done(2, 3), `${segment(5)}.ready`])).toEqual([segment(4)]);
});

test.each([
  ["every segment is marked", [1, 2, 3], done(1, 2, 3)],
  ["only later ones are not: the one being written, and those kept for later", [1, 2, 3, 4], done(1, 2)],
  ["only earlier ones are not: archiving was turned on after them", [1, 2, 3, 4], done(3, 4)],
  ["those without a mark are gone from pg_wal", [1, 4], done(1, 4)],
  ["there is no mark at all", [1, 2, 3], []],
])("none when %s", (_when, numbers, status) => {
  expect(
    unmarked(
      numbers.map((number) => segment(number)),
      status,
    ),
  ).toEqual([]);
});

test("marks of another timeline, of history files, labels and partial segments say nothing of a segment", () => {
  const wal = [segment(3), segment(4), segment(5)];
  const status = [
    ...done(3),
    `${segment(5, 2)}.done`,
    `${segment(5)}.partial.done`,
    `${segment(5)}.00000028.backup.done`,
    "00000002.history.ready",
  ];

  expect(unmarked(wal, status)).toEqual([]);
});

test("numbers are counted across the end of a log file, whatever the size of segments", () => {
  const names = ["0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001"];
  const marks = [`${names[0]}.done`, `${names[2]}.done`];

  expect(unmarkedSegments(names, marks, 16 * mib).map(({ name }) => name)).toEqual([names[1]]);
  expect(
    unmarkedSegments(
      names,
      names.map((name) => `${name}.done`),
      16 * mib,
    ),
  ).toEqual([]);
});

test("they are read from pg_wal, and a folder that is not there holds none", async () => {
  const wal = await mkdtemp(join(tmpdir(), "tidemark-unmarked-"));
  onTestFinished(async () => rm(wal, { recursive: true, force: true }));
  expect(await readUnmarkedSegments(join(wal, "absent"), mib)).toEqual([]);
  await mkdir(join(wal, "archive_status"));
  for (const number of [1, 2, 3]) await writeFile(join(wal, segment(number)), "");
  for (const name of done(1, 3)) await writeFile(join(wal, "archive_status", name), "");

  expect((await readUnmarkedSegments(wal, mib)).map(({ name }) => name)).toEqual([segment(2)]);
});
