import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireDiskSpace, spaceNeeds } from "./disk-space.ts";
import { temporaryPathFor } from "../common/durable-file.ts";
import {
  controlPath,
  heldControlPath,
  markerName,
  readMarker,
  writeMarker,
  writeTablespaceMark,
} from "./marker.ts";
import {
  cleanUnfinishedRestore,
  requireEmptyDataDirectory,
  requireEmptyTablespaceDirectory,
} from "./target-directory.ts";

async function temporary() {
  const path = await mkdtemp(join(tmpdir(), "tidemark-target-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A restore as a kill between unpacking and the end leaves it. */
async function unfinished(home: string) {
  const [data, space] = [join(home, "data"), join(home, "space")];
  await mkdir(join(data, "global"), { recursive: true });
  await mkdir(join(data, "pg_tblspc"));
  await mkdir(join(space, "PG_17_202406281/5"), { recursive: true });
  await writeFile(join(data, heldControlPath), "control");
  await symlink(space, join(data, "pg_tblspc/16384"));
  await writeTablespaceMark(space, "r1");
  await writeMarker(data, {
    restoreId: "r1",
    backup: "20261121T090727",
    repository: "/srv/backup/main",
    startedAt: "2026-11-21T12:00:00.000Z",
    tablespaceDirectories: [space],
  });
  return { data, space };
}

test("an absent or empty directory will do, also one with a mount point's lost+found", async () => {
  await using home = await temporary();
  await mkdir(join(home.path, "lost+found"));

  await requireEmptyDataDirectory(join(home.path, "absent/too"));
  await requireEmptyDataDirectory(home.path);
  expect(await cleanUnfinishedRestore(join(home.path, "absent"))).toBe(false);
});

test("a directory that holds anything is refused, naming it, and never cleaned", async () => {
  await using home = await temporary();
  for (const name of ["a", "b", "c", "d", "e"]) await writeFile(join(home.path, name), "");

  const refused = `"${home.path}" is not empty: it holds "a", "b", "c" and 2 more`;
  await expect(requireEmptyDataDirectory(home.path)).rejects.toThrow(refused);
  await expect(requireEmptyTablespaceDirectory("fast", home.path)).rejects.toThrow(
    /of tablespace "fast" is not empty/,
  );
  await expect(requireEmptyDataDirectory(join(home.path, "a"))).rejects.toThrow(/is not a directory/);
  await expect(cleanUnfinishedRestore(home.path)).rejects.toThrow(/does not hold an unfinished restore/);
  expect(await readdir(home.path)).toHaveLength(5);
});

test("an unfinished restore is recognised and cleaned, with its tablespaces, but not what others put there", async () => {
  await using home = await temporary();
  const { data, space } = await unfinished(home.path);
  await writeFile(join(space, "somebody's"), "");

  await expect(requireEmptyDataDirectory(data)).rejects.toThrow(
    expect.objectContaining({
      code: "target-directory",
      message: `"${data}" holds an unfinished restore of backup "20261121T090727", begun at 2026-11-21T12:00:00.000Z`,
      details: { unfinishedRestore: true, backup: "20261121T090727" },
    }),
  );
  expect(await cleanUnfinishedRestore(data)).toBe(true);
  expect(await readdir(data)).toEqual([]);
  expect(await readdir(space)).toEqual(["somebody's"]);
});

test("a tablespace's directory that was never reached is left to whoever has filled it since", async () => {
  await using home = await temporary();
  const { data, space } = await unfinished(home.path);
  await rm(join(space, markerName));

  expect(await cleanUnfinishedRestore(data)).toBe(true);
  expect(await readdir(space)).toEqual(["PG_17_202406281"]);

  const again = await unfinished(home.path);
  await rm(join(space, markerName));
  await writeTablespaceMark(space, "r2");
  expect(await cleanUnfinishedRestore(again.data)).toBe(true);
  expect((await readdir(space)).sort()).toEqual([markerName, "PG_17_202406281"]);
});

test("a restore that only kept its mark is never cleaned, since its server may have run for years", async () => {
  await using home = await temporary();
  const { data } = await unfinished(home.path);
  await writeFile(join(data, controlPath), "control");

  await expect(requireEmptyDataDirectory(data)).rejects.toThrow(/holds a finished restore/);
  await expect(cleanUnfinishedRestore(data)).rejects.toThrow(/holds a finished restore/);
  expect(await readdir(data)).toContain(markerName);
});

test("of two restores that begin at once only one gets the directory", async () => {
  await using home = await temporary();
  const mark = (restoreId: string) => ({
    restoreId,
    backup: "20261121T090727",
    repository: "/srv/backup/main",
    startedAt: "2026-11-21T12:00:00.000Z",
    tablespaceDirectories: [],
  });
  const ids = ["r1", "r2", "r3"];

  const outcomes = await Promise.allSettled(ids.map(async (id) => writeMarker(home.path, mark(id))));

  const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
  expect((await readMarker(home.path))?.restoreId).toBe(ids[winner]);
  const refused = outcomes.filter(({ status }) => status === "rejected");
  expect(refused.map((outcome) => ("reason" in outcome ? String(outcome.reason) : ""))).toEqual([
    expect.stringContaining("another restore"),
    expect.stringContaining("another restore"),
  ]);
  expect(await readdir(home.path)).toEqual([markerName]);
  await expect(writeTablespaceMark(home.path, "r4")).rejects.toMatchObject({ code: "target-directory" });
});

test("what a crash leaves of a mark being written is as good as nothing", async () => {
  await using home = await temporary();
  const left = temporaryPathFor(join(home.path, markerName));
  await writeFile(left, "{");

  await requireEmptyDataDirectory(home.path);
  await requireEmptyTablespaceDirectory("fast", home.path);
  expect(await cleanUnfinishedRestore(home.path)).toBe(true);
  expect(await readdir(home.path)).toEqual([]);

  await writeFile(left, "{");
  await writeTablespaceMark(home.path, "r1");
  expect(await readdir(home.path)).toEqual([markerName]);
});

test("a mark that cannot be read is not taken as leave to delete", async () => {
  await using home = await temporary();
  await writeFile(join(home.path, markerName), "{");

  await expect(cleanUnfinishedRestore(home.path)).rejects.toThrow(/is not the mark of a restore/);
  expect(await readdir(home.path)).toEqual([markerName]);
});

test("needs on one file system are added up, and more than is free is refused before anything is written", async () => {
  await using home = await temporary();
  const part = {
    key: "k",
    name: "n",
    archive: "data",
    index: 0,
    codec: "gzip",
    storedBytes: 10,
    sha256: undefined,
    tarBytes: 100,
  } as const;
  const needs = spaceNeeds(
    [part, { ...part, tarBytes: undefined }, { ...part, archive: "16384" }],
    (archive) => join(home.path, archive),
    5,
  );

  expect(needs).toEqual([
    { directory: join(home.path, "data"), bytes: 115 },
    { directory: join(home.path, "16384"), bytes: 100 },
  ]);
  await requireDiskSpace(needs);
  const petabytes = needs.map(({ directory }) => ({ directory, bytes: 2 ** 50 }));
  await expect(requireDiskSpace(petabytes)).rejects.toThrow(
    expect.objectContaining({
      code: "disk-full",
      message: expect.stringMatching(/^the restore needs 2\.0 PiB on the file system of/) as string,
    }),
  );
});
