import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../archive/testing/archive-bench.ts";
import { segmentName } from "../archive/testing/wal-files.ts";
import { requireWalFileName } from "../archive/wal-file.ts";
import { OwedBook } from "./owed-book.ts";
import { spoolAt } from "./spool.ts";

const owed = (number: number, ...repositories: string[]) => ({
  file: requireWalFileName(segmentName(number)),
  sizeBytes: 1,
  mtimeNs: 5n,
  repositories,
});

test("a note goes when the last repository has the file, whoever asks at the same time", async () => {
  const root = await temporaryFolder();
  await mkdir(join(root, "owed"));
  const book = new OwedBook(spoolAt(root));
  await book.write(owed(1, "a", "b"));

  await Promise.all([book.pay(segmentName(1), "a"), book.pay(segmentName(1), "b")]);

  expect(await book.all()).toEqual([]);
  expect(await readdir(join(root, "owed"))).toEqual([]);
});

test("there are no more notes than the limit; what comes later is counted until listings were compared", async () => {
  const root = await temporaryFolder();
  await mkdir(join(root, "owed"));
  const book = new OwedBook(spoolAt(root), 2);
  for (const number of [1, 2, 3, 4]) await book.write(owed(number, "a"));

  expect(await readdir(join(root, "owed"))).toEqual([segmentName(1), segmentName(2)]);
  expect(book.unnoted("a")).toBe(2);
  await book.pay(segmentName(4), "a");
  expect(book.unnoted("a")).toBe(1);
  book.surveyed("a");
  expect(book.unnoted("a")).toBe(0);
  expect(await new OwedBook(spoolAt(root), 2).all()).toEqual([owed(1, "a"), owed(2, "a")]);
});
