import { describe, expect, test } from "vitest";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import { checkBackupParts } from "./backup-parts.ts";

const prefix = "srv/base/20261121T090727/";
const objects = (...names: string[]) =>
  names.map((name) => ({ key: prefix + name, sizeBytes: 10, modifiedAt: new Date(0) }));

const manifestOf = (...names: string[]): BackupManifest => ({
  format: 1,
  tidemarkVersion: "1",
  parts: names.map((name) => ({
    name,
    archive: /^(data|\d+)/.exec(name)?.[1] ?? "",
    storedBytes: 10,
    tarBytes: 20,
    sha256: "ab".repeat(32),
  })),
  fileCount: 1,
  dataBytes: 1,
  pagesVerified: true,
  damagedPages: [],
  damagedPageCount: 0,
  fromStandby: false,
  tags: {},
});

describe("a backup by Barman", () => {
  const check = (names: string[], oids: number[] = []) =>
    checkBackupParts(prefix, objects(...names), { manifest: undefined, oids });

  test("has its parts in order, whatever their compression, and other objects beside them", () => {
    const found = check(
      [
        "16384.tar.gz",
        "16385.tar",
        "annotations/keep",
        "backup.info",
        "data.tar.bz2",
        "data_0002.tar",
        "data_0001.tar.gz",
        "data.tar.sha256",
      ],
      [16_384],
    );

    expect(found.problems).toEqual([]);
    expect(found.parts.map(({ name, index, codec }) => [name, index, codec])).toEqual([
      ["data.tar.bz2", 0, "bzip2"],
      ["data_0001.tar.gz", 1, "gzip"],
      ["data_0002.tar", 2, "none"],
      ["16384.tar.gz", 0, "gzip"],
    ]);
    expect(found.storedBytes).toBe(40);
  });

  test.each<[string, string[], number[], string[]]>([
    ["no data at all", ["16384.tar"], [16_384], ['"data.tar" is missing']],
    ["a tablespace lost", ["data.tar.gz"], [16_384], ['"16384.tar" is missing']],
    ["the first part lost", ["data_0001.tar"], [], ['"data.tar" is missing']],
    ["a part between lost", ["data.tar", "data_0002.tar"], [], ['"data_0001.tar" is missing']],
    [
      "one part twice",
      ["data.tar", "data.tar.gz"],
      [],
      ['"data.tar" and "data.tar.gz" are two of the same part'],
    ],
  ])("with %s", (_, names, oids, problems) => {
    expect(check(names, oids).problems).toEqual(problems);
  });
});

describe("a backup of ours", () => {
  test("is held against its manifest: missing parts, wrong sizes, archives without a part", () => {
    const manifest = manifestOf("data.tar.zst", "data_0001.tar.zst", "data_0002.tar.zst");
    const listed = objects(
      "data.tar.zst",
      "data_0001.tar.zst",
      "data_0009.tar.zst",
      "x-tidemark/manifest.json",
    );
    const short = listed.map((object, index) => (index === 1 ? { ...object, sizeBytes: 9 } : object));

    const found = checkBackupParts(prefix, short, { manifest, oids: [16_384] });

    expect(found.problems).toEqual([
      '"data_0001.tar.zst" has 9 bytes, but its manifest says 10',
      '"data_0002.tar.zst" is missing',
      'its manifest names no part of "16384"',
    ]);
    expect(found.parts.map(({ name }) => name)).toEqual(["data.tar.zst", "data_0001.tar.zst"]);
    expect(found.parts[0]).toMatchObject({ sha256: "ab".repeat(32), tarBytes: 20 });
  });
});
