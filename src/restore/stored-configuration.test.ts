import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useStoredConfiguration } from "./stored-configuration.ts";

let data: string;
const put = (path: string, text: string) => {
  mkdirSync(dirname(join(data, path)), { recursive: true });
  writeFileSync(join(data, path), text);
};
const read = (path: string) => readFileSync(join(data, path), "utf8");

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "configuration-"));
});
afterEach(() => rmSync(data, { recursive: true }));

test("files from outside under other names are put where the server looks, over those that were not in use", async () => {
  put("main.conf", "port = 5433\n");
  put("hba.conf", "local all all trust\n");
  put("postgresql.conf", "# as initdb made it\n");
  put("conf/users.conf", "# map\n");
  const info = {
    pgdata: "/pgdata",
    configFile: "/etc/x/main.conf",
    hbaFile: "/etc/x/hba.conf",
    identFile: "/pgdata/conf/users.conf",
  };

  const notes = await useStoredConfiguration(data, info);

  expect(notes).toEqual([
    'postgresql.conf is the backup\'s "main.conf", which the origin used as "/etc/x/main.conf"',
    'pg_hba.conf is the backup\'s "hba.conf", which the origin used as "/etc/x/hba.conf"',
    'pg_ident.conf is the backup\'s "conf/users.conf", which the origin used as "/pgdata/conf/users.conf"',
  ]);
  expect([read("postgresql.conf"), read("pg_hba.conf"), read("pg_ident.conf")]).toEqual([
    "port = 5433\n",
    "local all all trust\n",
    "# map\n",
  ]);
});

test("files in their usual place, absent ones and links are left alone", async () => {
  put("postgresql.conf", "port = 5433\n");
  symlinkSync("/etc/hostname", join(data, "hba.conf"));
  const info = {
    pgdata: "/pgdata",
    configFile: "/etc/postgresql/15/main/postgresql.conf",
    hbaFile: "/pgdata/hba.conf",
    identFile: "/etc/x/gone.conf",
  };

  expect(await useStoredConfiguration(data, info)).toEqual([]);
  expect(read("postgresql.conf")).toBe("port = 5433\n");
});
