import { expect, test } from "vitest";
import type { BackupResult } from "../backup/backup-result.ts";
import { EngineError } from "../common/errors.ts";
import { parseBackupId } from "../repository/backup-id.ts";
import { backupEntry } from "../repository/testing/plan-facts.ts";
import { requireEverywhere, resultJson, resultText } from "./backup-output.ts";

const error = new EngineError("store-unavailable", "s3://far is too slow");
const result: BackupResult = {
  id: parseBackupId("20261122T030000"),
  info: backupEntry({ id: "20261122T030000", begin: "0/3000028", end: "0/3000138" }).info,
  manifest: {
    format: 1,
    tidemarkVersion: "0.1.0",
    parts: [],
    fileCount: 3,
    dataBytes: 4096,
    pagesVerified: true,
    damagedPages: [],
    damagedPageCount: 0,
    fromStandby: false,
    tags: {},
  },
  storedBytes: 2048,
  copies: [
    { repository: "near", form: { codec: "zstd" }, storedBytes: 2048 },
    { repository: "barman", form: { codec: "gzip" }, storedBytes: 3072 },
  ],
  missing: [{ repository: "far", error }],
  durationMs: 1000,
};

test("a backup that is not everywhere says where it is, and ends with a status of its own", () => {
  const text = resultText(result);

  expect(text).toContain("stored as 2.0 KiB and 3.0 KiB\n");
  expect(text).toMatch(/^in: +near, barman$/m);
  expect(text).toMatch(/^not in: +far: s3:\/\/far is too slow$/m);
  expect(resultJson(result)).toMatchObject({
    repositories: [
      { name: "near", compression: "zstd", storedBytes: 2048 },
      { name: "barman", compression: "gzip", storedBytes: 3072 },
    ],
    missing: [{ name: "far", code: "store-unavailable", message: "s3://far is too slow" }],
  });
  expect(() => requireEverywhere(result)).toThrow(
    expect.objectContaining({
      code: "backup-partial",
      exitStatus: 44,
      message:
        'backup "20261122T030000" is complete in "near", "barman", but not in far: s3://far is too slow',
    }),
  );
});

test("one in the only repository does not say where it is", () => {
  const whole = { ...result, copies: result.copies.slice(0, 1), missing: [] };

  expect(resultText(whole)).not.toMatch(/^(not )?in:/m);
  expect(() => requireEverywhere(whole)).not.toThrow();
});
