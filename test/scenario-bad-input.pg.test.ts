import { copyFile, cp, mkdir, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../src/postgres/server-process.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testServer, type TestServer } from "../src/postgres/testing/test-server.ts";
import { untilDrained } from "./support/archive-audit.ts";
import { tidemark } from "./support/programs.ts";
import { addRow, makeTables } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";
import { readTree, transcript } from "./support/transcript.ts";

/*
 * Wrong input that needs a server or a real backup to be wrong: see scenario-bad-input.test.ts. The repository must be
 * the same afterwards, byte for byte, and so must every directory that a restore was refused for.
 */

let system: System;
/** Another PostgreSQL system, with its archiving off. */
let other: TestServer;
let backup: string;
/** The oldest of each system. */
let segment: string;
let foreign: string;

beforeAll(async () => {
  // Of one major version, because some answers name it, or count its files.
  [system, other] = await Promise.all([
    startSystem({ major: 18 }),
    testServer({ major: 18, walSegmentSizeMib: 1 }),
  ]);
  const { sql, dataDirectory } = system.server;
  await using _agent = await system.agent();
  await makeTables(sql);
  const created = await system.json<{ id: string }>(["base", "create", "-D", dataDirectory]);
  backup = created.id;
  await addRow(sql, 1);
  await sql("SELECT pg_switch_wal()");
  await untilDrained(dataDirectory);
  segment = await oldestSegment(dataDirectory);
  foreign = await oldestSegment(other.dataDirectory);
  await layOut();
});

afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

async function oldestSegment(dataDirectory: string): Promise<string> {
  const names = await readdir(join(dataDirectory, "pg_wal"));
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted()[0] ?? "";
}

/** Directories for restores to be refused for, WAL files to be refused, and a repository with damaged records. */
async function layOut(): Promise<void> {
  const { user, path } = system.server.folder;
  const own = async (name: string) => system.server.folder.make(`work/${name}`);
  await writeFile(join(await own("full"), "letter.txt"), "dear diary\n");
  await own("empty");
  await writeFile(join(path, "work", "file"), "not a directory\n");
  const wal = join(system.server.dataDirectory, "pg_wal");
  await own("wal");
  for (const name of [segment, "00000001000000000000FFFF", "000000010000000000000002.history", "notes.txt"])
    await copyFile(join(wal, segment), join(path, "work/wal", name));
  await mkdir(join(path, "work/short"));
  await copyFile(join(wal, segment), join(path, "work/short", segment));
  await truncate(join(path, "work/short", segment), 4096);
  await mkdir(join(path, "work/foreign"));
  await copyFile(join(other.dataDirectory, "pg_wal", foreign), join(path, "work/foreign", foreign));
  await writeFile(join(path, "work/wal/00000002.history"), "nothing of the kind\n");
  const info = join("base", backup, "backup.info");
  const text = await readFile(join(system.repositoryDirectory, "main", info), "utf8");
  const damaged = {
    garbled: "\u0000\u0001\u0002",
    "no-end": text.replace(/^end_xlog=.*$/m, "end_xlog=soon"),
    "other-major": text.replace(/^version=.*$/m, "version=140001"),
    "other-system": text.replace(/^systemid=.*$/m, "systemid=7000000000000000001"),
  };
  for (const [name, content] of Object.entries(damaged)) {
    await cp(system.repositoryDirectory, join(path, "work", name), { recursive: true });
    await writeFile(join(path, "work", name, "main", info), content);
  }
  if (user !== undefined) await runProgram("chown", ["-R", `${user.uid}:${user.gid}`, join(path, "work")]);
}

async function answers(...commands: readonly string[]): Promise<string> {
  const { path, user } = system.server.folder;
  const look = async () => [await readTree(join(path, "work")), await readTree(system.repositoryDirectory)];
  const before = await look();
  const said = await transcript(
    commands,
    [
      [`--repo ${system.repositoryDirectory} --server main`, "<where>"],
      [join(path, "work"), "<dir>"],
      [system.repositoryDirectory, "<repo>"],
      [system.server.dataDirectory, "<data>"],
      [other.dataDirectory, "<other>"],
      [backup, "<backup>"],
      [segment, "<segment>"],
      [foreign, "<foreign>"],
      // Both systems may have come as far.
      [/<foreign>/g, "<segment>"],
      [/\b\d{19}\b/g, "<system>"],
      [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00|\+00| UTC)/g, "<time>"],
      [/\b0\/[0-9A-F]+\b/g, "<lsn>"],
      [/\b\d+ (bytes|transactions)/g, "N $1"],
      [/process \d+/g, "process N"],
    ],
    { user },
  );
  expect(said).not.toMatch(/^ {4}at /m);
  expect(said).not.toContain("internal error");
  expect(await look()).toEqual(before);
  return said;
}

test("a restore goes only into an empty directory that is not in use", async () => {
  expect(
    await answers(
      "base restore <dir>/full --repo <repo> --server main",
      "base restore <dir>/file --repo <repo> --server main",
      "base restore <dir>/file/below --repo <repo> --server main",
      "base restore <data> --repo <repo> --server main",
      "base restore <other> --repo <repo> --server main",
      "base restore <data> --clean --yes",
      "base restore <dir>/full --clean --yes",
      "base restore <dir>/empty --repo <repo> --server main --tablespace fast=/somewhere",
      "base restore <dir>/empty --repo <repo> --server main --start --bin-directory <dir>/empty",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base restore <dir>/full --repo <repo> --server main
    exit 51
    tidemark: "<dir>/full" is not empty: it holds "letter.txt"
    hint: Restore into another directory, or move away what is there.

    $ tidemark base restore <dir>/file --repo <repo> --server main
    exit 51
    tidemark: "<dir>/file" is not a directory

    $ tidemark base restore <dir>/file/below --repo <repo> --server main
    exit 51
    tidemark: "<dir>/file/below" is not a directory

    $ tidemark base restore <data> --repo <repo> --server main
    exit 51
    tidemark: "<data>" is not empty: it holds "PG_VERSION", "base", "global" and 21 more
    hint: Restore into another directory, or move away what is there.

    $ tidemark base restore <other> --repo <repo> --server main
    exit 51
    tidemark: "<other>" is not empty: it holds "PG_VERSION", "base", "global" and 21 more
    hint: Restore into another directory, or move away what is there.

    $ tidemark base restore <data> --clean --yes
    exit 51
    tidemark: "<data>" does not hold an unfinished restore
    hint: It holds "PG_VERSION", "base", "global" and 21 more. Tidemark removes only what it has put there itself.

    $ tidemark base restore <dir>/full --clean --yes
    exit 51
    tidemark: "<dir>/full" does not hold an unfinished restore
    hint: It holds "letter.txt". Tidemark removes only what it has put there itself.

    $ tidemark base restore <dir>/empty --repo <repo> --server main --tablespace fast=/somewhere
    exit 2
    tidemark: the backup has no tablespace "fast"
    hint: It has none at all: leave the mapping out.

    $ tidemark base restore <dir>/empty --repo <repo> --server main --start --bin-directory <dir>/empty
    exit 20
    tidemark: no PostgreSQL 18 server programs: looked in "<dir>/empty"; found "<dir>/empty": holds no executable postgres and initdb
    hint: Name the folder that holds initdb and postgres, for example /usr/lib/postgresql/17/bin."
  `);
});

test("a target that cannot be reached is refused before anything is written, with the nearest that can", async () => {
  expect(
    await answers(
      "base restore <dir>/new --repo <repo> --server main --to-time 2001-01-01T00:00:00Z",
      "base restore <dir>/new --repo <repo> --server main --to-time 2101-01-01T00:00:00",
      "base restore <dir>/new --repo <repo> --server main --to-lsn 0/1",
      "base restore <dir>/new --repo <repo> --server main --to-lsn FF/1",
      "base restore <dir>/new --repo <repo> --server main --timeline 7",
      "base restore <dir>/new --repo <repo> --server main --backup nightly",
      "base restore <dir>/new --repo <repo> --server main --backup 20010101T000000",
      "base restore <dir>/new --repo <repo> --server mian",
      "base show nightly --repo <repo> --server main",
      "base delete <backup> --yes --repo <repo> --server main",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base restore <dir>/new --repo <repo> --server main --to-time 2001-01-01T00:00:00Z
    exit 50
    tidemark: this cannot be restored: the target <time> is before the end of the first usable backup ("<backup>"), <time>
    hint: This is the earliest moment the repository can restore to.

    $ tidemark base restore <dir>/new --repo <repo> --server main --to-time 2101-01-01T00:00:00
    exit 50
    tidemark: this cannot be restored: the newest transaction in the archive ended at <time>, not after the target <time>
    hint: To restore everything there is, restore to the end of the archive (latest). The newest time that can be given is just before <time>; has the server archived its last WAL (pg_switch_wal)?

    $ tidemark base restore <dir>/new --repo <repo> --server main --to-lsn 0/1
    exit 50
    tidemark: this cannot be restored: the target <lsn> is before the end of the first usable backup ("<backup>"), <lsn>
    hint: This is the earliest moment the repository can restore to.

    $ tidemark base restore <dir>/new --repo <repo> --server main --to-lsn FF/1
    exit 50
    tidemark: this cannot be restored: the archive ends at <lsn>, before the target FF/1
    hint: Restore to an earlier position, or to the end of the archive (latest).

    $ tidemark base restore <dir>/new --repo <repo> --server main --timeline 7
    exit 50
    tidemark: this cannot be restored: the repository holds no history of timeline 7
    hint: It knows the timelines 1.

    $ tidemark base restore <dir>/new --repo <repo> --server main --backup nightly
    exit 40
    tidemark: no backup "nightly" in repository "<repo>/main"
    hint: It holds <backup>.

    $ tidemark base restore <dir>/new --repo <repo> --server main --backup 20010101T000000
    exit 40
    tidemark: no backup "20010101T000000" in repository "<repo>/main"
    hint: It holds <backup>.

    $ tidemark base restore <dir>/new --repo <repo> --server mian
    exit 50
    tidemark: this cannot be restored: repository "<repo>/mian" holds no finished backup
    hint: Are repository and server name right? A backup is taken with "tidemark base create".

    $ tidemark base show nightly --repo <repo> --server main
    exit 40
    tidemark: no backup "nightly" in repository "<repo>/main"
    hint: It holds <backup>.

    $ tidemark base delete <backup> --yes --repo <repo> --server main
    exit 43
    tidemark: refused to delete backup "<backup>" of "<repo>/main": it is the last good one
    hint: Without it nothing can be restored. Take another backup first, or say --force."
  `);
});

test("a backup.info that cannot be true is not restored from", async () => {
  expect(
    await answers(
      "base restore <dir>/new --repo <dir>/garbled --server main",
      "base restore <dir>/new --repo <dir>/garbled --server main --backup <backup>",
      "base restore <dir>/new --repo <dir>/no-end --server main",
      "base show <backup> --repo <dir>/no-end --server main",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base restore <dir>/new --repo <dir>/garbled --server main
    exit 50
    tidemark: this cannot be restored: repository "<dir>/garbled/main" holds no finished backup, only "<backup>" (unreadable: could not read "<dir>/garbled/main/base/<backup>/backup.info": status is "")
    hint: Look whether another copy of the repository has a whole one.

    $ tidemark base restore <dir>/new --repo <dir>/garbled --server main --backup <backup>
    exit 40
    tidemark: backup "<backup>" cannot be restored: its backup.info cannot be read: could not read "<dir>/garbled/main/base/<backup>/backup.info": status is ""
    hint: Choose a finished backup; "tidemark base list" shows them.

    $ tidemark base restore <dir>/new --repo <dir>/no-end --server main
    exit 50
    tidemark: this cannot be restored: repository "<dir>/no-end/main" holds no finished backup, only "<backup>" (unreadable: could not read "<dir>/no-end/main/base/<backup>/backup.info": "soon" is not an LSN)
    hint: Look whether another copy of the repository has a whole one.

    $ tidemark base show <backup> --repo <dir>/no-end --server main
    exit 0"
  `);
});

test("a backup that is not what its backup.info says is refused once that is seen, and cannot be started", async () => {
  const directory = system.path("mistaken");
  const restores = ["other-major", "other-system"].map(async (name) => {
    const { code, stderr } = await tidemark(
      ["base", "restore", `${directory}-${name}`, "--repo", system.path(name), "--server", "main", "--start"],
      { user: system.server.folder.user },
    );
    const files = await readdir(join(`${directory}-${name}`, "global")).catch(() => []);
    expect(files).not.toContain("pg_control");
    await rm(`${directory}-${name}`, { recursive: true, force: true });
    const words = stderr
      .replace(/\b\d{19}\b/g, "<system>")
      .replace(/\b[0-9A-F]{24}\b/g, "<segment>")
      .replaceAll(backup, "<backup>");
    return `$ ${name}\nexit ${code}\n${words}`;
  });

  expect((await Promise.all(restores)).join("\n")).toMatchInlineSnapshot(`
    "$ other-major
    exit 14
    tidemark: backup "<backup>" cannot be used: its control file is of PostgreSQL 18, but backup.info says 14
    hint: Choose another backup with --backup.

    $ other-system
    exit 31
    tidemark: refused WAL segment "<segment>": it was written by system <system>, but this is <system>
    hint: Two clusters share this archive or this pg_wal. Give each cluster its own server name.
    "
  `);
});

test("a WAL file is archived only when it is this cluster's, whole, and under its name", async () => {
  expect(
    await answers(
      "wal push <dir>/wal/notes.txt -D <data> --repo <repo> --server main",
      "wal push <dir>/wal/missing -D <data> --repo <repo> --server main",
      "wal push <dir>/wal/0000000100000000000000AA -D <data> --repo <repo> --server main",
      "wal push <dir>/wal/00000001000000000000FFFF -D <data> --repo <repo> --server main",
      "wal push <dir>/wal/00000002.history -D <data> --repo <repo> --server main",
      "wal push <dir>/short/<segment> -D <data> --repo <repo> --server main",
      "wal push <dir>/foreign/<foreign> -D <data> --repo <repo> --server main",
      "wal push <other>/pg_wal/<foreign> --repo <repo> --server main",
      "wal push <dir>/wal/<segment> -D <data> --repo <repo> --server main --level 99",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark wal push <dir>/wal/notes.txt -D <data> --repo <repo> --server main
    exit 2
    tidemark: "notes.txt" is not the name of a WAL file
    hint: Give a segment (24 hexadecimal digits), a history file, a partial segment or a backup label file.

    $ tidemark wal push <dir>/wal/missing -D <data> --repo <repo> --server main
    exit 2
    tidemark: "missing" is not the name of a WAL file
    hint: Give a segment (24 hexadecimal digits), a history file, a partial segment or a backup label file.

    $ tidemark wal push <dir>/wal/0000000100000000000000AA -D <data> --repo <repo> --server main
    exit 5
    tidemark: could not read "<dir>/wal/0000000100000000000000AA": no such file or directory

    $ tidemark wal push <dir>/wal/00000001000000000000FFFF -D <data> --repo <repo> --server main
    exit 31
    tidemark: refused WAL segment "00000001000000000000FFFF": no segment of N bytes has this name

    $ tidemark wal push <dir>/wal/00000002.history -D <data> --repo <repo> --server main
    exit 31
    tidemark: refused WAL file "00000002.history": it does not have its form: the history file of timeline 2 is invalid: line "nothing of the kind" does not start with a timeline
    hint: Look at the file in pg_wal: it should be a few lines of text.

    $ tidemark wal push <dir>/short/<segment> -D <data> --repo <repo> --server main
    exit 31
    tidemark: refused WAL file "<segment>": it has N bytes, but segments here have 1048576
    hint: The file is not whole, or belongs to another cluster.

    $ tidemark wal push <dir>/foreign/<foreign> -D <data> --repo <repo> --server main
    exit 31
    tidemark: refused WAL segment "<segment>": it was written by system <system>, but this is <system>
    hint: Two clusters share this archive or this pg_wal. Give each cluster its own server name.

    $ tidemark wal push <other>/pg_wal/<foreign> --repo <repo> --server main
    exit 33
    tidemark: repository "<repo>/main" belongs to PostgreSQL system <system>, but this is system <system>
    hint: Is this a new cluster under an old name? Give it a server name of its own (--server).

    $ tidemark wal push <dir>/wal/<segment> -D <data> --repo <repo> --server main --level 99
    exit 2
    tidemark: zstd has no level 99
    hint: Its levels are -7 to 22; left out, it is a fast one."
  `);
});

test("a base backup is taken only of a server that archives, into a repository of its own", async () => {
  await other.server.stop("fast");
  const stopped = await answers("base create -D <other> --repo <repo> --server main");
  await other.restart();
  const off = await answers("base create -D <other> --repo <repo> --server main");
  await other.restart({ settings: { archive_mode: "on", archive_command: "/bin/true" } });
  const foreign = await answers("base create -D <other> --repo <repo> --server main");

  expect([stopped, off, foreign].join("\n\n")).toMatchInlineSnapshot(`
    "$ tidemark base create -D <other> --repo <repo> --server main
    exit 21
    tidemark: no server runs on "<other>": there is no "postmaster.pid" in it
    hint: Start PostgreSQL, or say with --connection where it is.

    $ tidemark base create -D <other> --repo <repo> --server main
    exit 23
    tidemark: the server does not archive WAL: archive_mode is off
    hint: Set archive_mode = on and archive_command, then restart the server.

    $ tidemark base create -D <other> --repo <repo> --server main
    exit 33
    tidemark: repository "<repo>/main" belongs to PostgreSQL system <system>, but this is system <system>
    hint: Is this a new cluster under an old name? Give it a server name of its own (--server)."
  `);
});

test("a restore point that is in no WAL is noticed at the end of it, and the server is stopped", async () => {
  const directory = system.path("pointless");
  const { code, stderr } = await system.run([
    "base",
    "restore",
    directory,
    "--to-name",
    "nowhere",
    "--start",
  ]);

  expect(`exit ${code}\n${stderr.replaceAll(directory, "<dir>")}`).toMatchInlineSnapshot(`
    "exit 52
    tidemark: recovery in "<dir>" missed its target: recovery ended before configured recovery target was reached
    hint: The WAL ends before the target. Give an earlier target, or --to-latest for everything there is.
    "
  `);
  await rm(directory, { recursive: true });
});
