import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mib } from "../../src/common/units.ts";
import { startAzurite } from "../support/azurite.ts";
import { controlPlane, exampleWith } from "../support/control-plane.ts";
import { archived, contentsOf } from "../support/restorable.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";

const namespace = "production";

test("a cluster in a container of Azure is archived, backed up, and comes back as it was, and its key stays where nobody else reads it", async () => {
  await using azurite = await startAzurite();
  await using plane = await controlPlane();
  const container = await azurite.freshContainer();
  const manifests = await exampleWith(plane, "azure", [
    ["http://127.0.0.1:10000/devstoreaccount1/backups/pg", `${azurite.endpoint}/${container}/pg`],
    ["devstoreaccount1", azurite.account],
    ["put-your-storage-key-here", azurite.key],
    ['      max_connections: "100"', '      max_connections: "100"\n      track_commit_timestamp: "on"'],
    ["    data:\n", "    tags:\n      team: data\n    data:\n      immediateCheckpoint: true\n"],
  ]);
  await plane.up(["-f", manifests]);
  await plane.healthy("pg", namespace);
  await plane.completed("pg-first", namespace);
  await using origin = await plane.connect("pg", { namespace });
  const sql = async (text: string) => origin.query<never>(text);
  await makeTables(sql);
  await addRow(sql, 1);
  const contents = await readContents(sql);
  await archived(plane, "pg", namespace, sql);

  await plane.ok(["restore", "pg", "-n", namespace, "--to", "latest", "--as", "pg-copy", "--yes"]);

  await plane.healthy("pg-copy", namespace);
  expect(await contentsOf(plane, "pg-copy", namespace)).toEqual(contents);
  const holders = await filesWith(plane.state, azurite.key);
  expect(holders.length).toBeGreaterThan(0);
  expect(holders.filter(({ mode }) => (mode & 0o077) !== 0)).toEqual([]);
  expect(await commandLinesWith(azurite.key)).toEqual([]);
});

/** Small files below a directory that hold a text. */
async function filesWith(directory: string, text: string) {
  const holders: { readonly path: string; readonly mode: number }[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // Servers are running: what they remove meanwhile is none of ours.
    const facts = entry.isFile() ? await stat(path).catch(() => undefined) : undefined;
    if (facts === undefined || facts.size > mib) continue;
    const content = await readFile(path, "latin1").catch(() => "");
    if (content.includes(text)) holders.push({ path, mode: facts.mode });
  }
  return holders;
}

async function commandLinesWith(text: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map(async (pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.filter((line) => line.includes(text));
}
