import { expect, test } from "vitest";
import { blockName, newUploadId, readBlockName } from "./azure-blocks.ts";
import { maxBlocks } from "./azure-limits.ts";

test("a block says of which upload it is, since when that goes on, and is told from another program's", () => {
  const startedAt = new Date("2026-11-21T12:00:00.123Z");
  const uploadId = newUploadId(startedAt);

  for (const index of [0, 7, maxBlocks - 1, "start"] as const) {
    expect(readBlockName(blockName(uploadId, index))).toEqual({ uploadId, startedAt });
  }
  expect(newUploadId(startedAt)).not.toBe(uploadId);
  expect(readBlockName(Buffer.from("00000").toString("base64"))).toBeUndefined();
  expect(readBlockName("not base64?")).toBeUndefined();
});

test("all names of blocks have one length, of at most 64 bytes", () => {
  const uploadId = newUploadId(new Date(0));
  const names = [0, 9, 10, maxBlocks - 1, "start" as const].map((index) => blockName(uploadId, index));

  const lengths = new Set(names.map((name) => Buffer.from(name, "base64").length));
  expect([...lengths]).toEqual([37]);
  expect(new Set(names).size).toBe(names.length);
  expect(blockName(newUploadId(new Date("2100-01-01")), 0)).toHaveLength(names[0]!.length);
});
