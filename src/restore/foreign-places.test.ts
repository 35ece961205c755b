import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readAssignments } from "./configuration.ts";
import { removeForeignPlaces } from "./foreign-places.ts";

let base: string;
const put = (path: string, ...lines: readonly string[]) => {
  mkdirSync(dirname(join(base, path)), { recursive: true });
  writeFileSync(join(base, path), `${lines.join("\n")}\n`);
};
const settings = (path: string) =>
  readAssignments(readFileSync(join(base, path), "utf8")).map(({ name, value }) => `${name}=${value}`);
const clean = async () => removeForeignPlaces(join(base, "new"));

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "places-")));
});
afterEach(() => rmSync(base, { recursive: true }));

test("an included file's data_directory is taken out too: it would win over -D", async () => {
  put("new/postgresql.conf", "include_dir 'conf.d'", "include 'more/a.conf'", "port = 5433");
  put("new/conf.d/10-where.conf", "data_directory = '/srv/origin'", "work_mem = '8MB'");
  put("new/conf.d/.hidden.conf", "data_directory = '/srv/origin'");
  put("new/more/a.conf", "include 'b.conf'");
  put("new/more/b.conf", "hba_file '/etc/hba.conf'", "include '../postgresql.conf'");
  put("new/postgresql.auto.conf", "hba_file = '/etc/other.conf'", "work_mem = '1MB'");

  expect(await clean()).toEqual([
    "taken out of postgresql.auto.conf: hba_file = '/etc/other.conf'",
    "taken out of conf.d/10-where.conf: data_directory = '/srv/origin'",
    "taken out of more/b.conf: hba_file '/etc/hba.conf'",
  ]);
  expect(settings("new/postgresql.conf")).toEqual(["include_dir=conf.d", "include=more/a.conf", "port=5433"]);
  expect(settings("new/conf.d/10-where.conf")).toEqual(["work_mem=8MB"]);
  expect(settings("new/postgresql.auto.conf")).toEqual(["work_mem=1MB"]);
  expect(await clean()).toEqual([]);
});

test("includes that lead out of the directory, by name or by link, are taken out, and what they lead to is untouched", async () => {
  put("origin/conf.d/x.conf", "data_directory = '/srv/origin'");
  mkdirSync(join(base, "new/conf.d"), { recursive: true });
  symlinkSync(join(base, "origin/conf.d"), join(base, "new/linked.d"));
  symlinkSync(join(base, "origin/conf.d/x.conf"), join(base, "new/conf.d/x.conf"));
  put(
    "new/postgresql.conf",
    "include_dir 'linked.d'",
    `include '${base}/origin/conf.d/x.conf'`,
    "include_if_exists '../origin/conf.d/x.conf'",
    "include_if_exists '/nowhere/x.conf'",
    "include 'gone.conf'",
    "include_if_exists 'gone.conf'",
    "include_dir 'conf.d'",
  );

  expect(await clean()).toEqual([
    "taken out of postgresql.conf: include_dir 'linked.d'",
    `taken out of postgresql.conf: include '${base}/origin/conf.d/x.conf'`,
    "taken out of postgresql.conf: include_if_exists '../origin/conf.d/x.conf'",
    "taken out of postgresql.conf: include_if_exists '/nowhere/x.conf'",
    "taken out of postgresql.conf: include 'gone.conf'",
    "removed conf.d/x.conf: it was a link to a file outside the restored directory",
  ]);
  expect(settings("new/postgresql.conf")).toEqual(["include_if_exists=gone.conf", "include_dir=conf.d"]);
  expect(settings("origin/conf.d/x.conf")).toEqual(["data_directory=/srv/origin"]);
});
