import { expect, test } from "vitest";
import { parseWalObject } from "./wal-inventory.ts";

const read = (key: string) => {
  const object = parseWalObject({ kind: "object", key, sizeBytes: 1, modifiedAt: new Date(0) });
  return object === undefined ? undefined : `${object.file.kind} ${object.codec}`;
};

test.each([
  ["main/wals/0000000100000000/000000010000000000000003", "segment none"],
  ["main/wals/0000000100000000/000000010000000000000003.gz", "segment gzip"],
  ["wals/0000000100000000/000000010000000000000003.partial", "partial none"],
  ["main/wals/00000002.history.zst", "history zstd"],
  // A copy that somebody made: PostgreSQL would never be given it.
  ["main/wals/copy/000000010000000000000003", undefined],
  ["main/wals/copy/0000000100000000/000000010000000000000003", undefined],
  ["main/wals/000000010000000000000003", undefined],
  ["main/wals/0000000100000000/00000002.history", undefined],
  ["main/wals/0000000100000000/README", undefined],
])("%s is %s", (key, expected) => {
  expect(read(key)).toBe(expected);
});
