import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { controlPlane, exampleWith } from "../support/control-plane.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";

const passphrase = "a-passphrase-of-this-test-alone";

test("a cluster whose store is encrypted comes back, and nothing of it or of its passphrase can be read", async () => {
  await using plane = await controlPlane();
  const stores = await plane.folder.make("stores");
  const directory = await exampleWith(plane, "encrypted-by-tidemark", [
    ["/tmp/tidemark-encrypted", stores],
    ["put-your-passphrase-here", passphrase],
    ["  instances: 1", '  instances: 1\n  postgresql:\n    parameters:\n      track_commit_timestamp: "on"'],
  ]);
  await plane.up(["-f", directory]);
  await plane.healthy("pg");
  await using origin = await plane.connect("pg");
  const sql = async (text: string) => origin.query<never>(text);
  await makeTables(sql);
  await addRow(sql, 1);
  await plane.ok(["backup", "pg", "--backup-name", "first"]);
  const before = await readContents(sql);

  await plane.ok(["restore", "pg", "--to", "immediate", "--as", "pg-again", "--yes"]);
  await plane.healthy("pg-again");
  await using again = await plane.connect("pg-again");

  expect(await readContents(async (text) => again.query(text))).toEqual(before);
  const stored = await filesBelow(stores);
  expect(
    stored.filter((path) => !path.endsWith(".age")).every((path) => path.endsWith("/keys/identities")),
  ).toBe(true);
  const heads = await Promise.all(stored.map(headOf));
  expect(new Set(heads)).toEqual(new Set(["age-encryption.org/v1"]));
  for (const path of await filesBelow(plane.state)) {
    if (!(await readFile(path)).includes(passphrase)) continue;
    expect(path).toMatch(/\/encrypted-store\.passphrase$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  }
});

async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function headOf(path: string): Promise<string> {
  await using file = await open(path, "r");
  const { buffer } = await file.read({ buffer: Buffer.alloc(21), length: 21 });
  return buffer.toString("latin1");
}
