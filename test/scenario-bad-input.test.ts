import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { testFolder, type TestFolder } from "../src/postgres/testing/test-server.ts";
import { readTree, transcript } from "./support/transcript.ts";

/*
 * Wrong input to the command line where no server is needed. Each answer must say what is wrong, where, and what to do,
 * with the exit status of docs/reference/error-codes.md, and leave everything as it was.
 */

// Each of about a hundred command lines is a process of its own.
vi.setConfig({ testTimeout: 120_000 });

let folder: TestFolder;
/** A directory that nobody but root may look into. */
let closed: string;

beforeAll(async () => {
  folder = await testFolder();
  await folder.make("repo");
  await folder.make("empty");
  await writeFile(join(folder.path, "file"), "not a repository\n");
  closed = await mkdtemp(join(tmpdir(), "tidemark-closed-"));
  await chmod(closed, 0o000);
  for (const [name, text] of Object.entries(configurations))
    await writeFile(join(folder.path, `${name}.yaml`), text.replace("REPO", join(folder.path, "repo")));
});

afterAll(async () => {
  await rm(closed, { recursive: true });
  await folder[Symbol.asyncDispose]();
});

const configurations = {
  "not-yaml": "server: main\nrepositories: [\n",
  "two-documents": "server: main\n---\nserver: other\n",
  "a-list": "- server: main\n",
  "unknown-key": "server: main\nrepositorys:\n  - url: /srv/backup\n",
  "unknown-inner-key": "server: main\nrepositories:\n  - url: /srv/backup\n    pathstyle: true\n",
  "wrong-type": "server: 7\nrepositories:\n  url: /srv/backup\n",
  "bad-values":
    "server: main\nwal:\n  compression: zip\n  concurrency: 0\nbackup:\n  maxPartSize: big\n  level: high\n",
  "same-name":
    "server: main\nrepositories:\n  - { name: a, url: /srv/backup }\n  - { name: a, url: /srv/other }\n",
  "bad-policy": "server: main\nrepositories:\n  - url: REPO\nwal:\n  policy: [elsewhere]\n",
  "high-policy": "server: main\nrepositories:\n  - url: REPO\nwal:\n  policy: 2\n",
  "no-repositories": "server: main\nrepositories: []\n",
};

async function answers(...commands: readonly string[]): Promise<string> {
  const before = await readTree(folder.path);
  const said = await transcript(
    commands,
    [
      [folder.path, "<dir>"],
      [closed, "<closed>"],
      [/uid \d+/g, "uid N"],
      [/"time":"[^"]*"/g, '"time":"…"'],
    ],
    { user: folder.user },
  );
  expect(said).not.toMatch(/^ {4}at /m);
  expect(said).not.toContain("internal error");
  expect(await readTree(folder.path)).toEqual(before);
  return said;
}

test("commands, flags and arguments that do not exist or are missing are named, with the way to help", async () => {
  expect(
    await answers(
      "",
      "bakcup",
      "bakcup -o json",
      "base",
      "base crate",
      "base list --rep <dir>/repo --server main",
      "base list --repo",
      "base list surplus --repo <dir>/repo --server main",
      "base restore",
      "base restore <dir>/new -o",
      "wal fetch 000000010000000000000001",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark
    exit 2
    Usage: tidemark [options] [command]

    PostgreSQL backup and point-in-time recovery.
    A base backup is a photo. WAL is the film. You need both.

    Options:
      -V, --version                            output the version number
      -h, --help                               display help for command

    Commands:
      demo [options]                           the whole story on this machine: photo, film, accident, rescue
      wal                                      the WAL archive, directly
      agent [options]                          run beside one PostgreSQL and archive its WAL as it appears
      base                                     base backups, directly
      check                                    find out whether what Tidemark relies on can be relied on
      key                                      the keys of encrypted repositories
      heal [options]                           copy to each repository what it lacks or has damaged, from another one of the same server
      copy [options] <from> <to>               fill a repository with the backups of another one and their WAL up to now; run again, it goes on
      lint [options]                           say what CloudNativePG manifests really do, and what they meant
      schema [kind]                            print the JSON Schema of manifests, for editors
      up [options]                             run clusters, schedules and backups as manifests say, on this machine
      down [options]                           end the control plane and stop what it runs; all data are kept
      status [options] [cluster]               am I safe: what can be restored, whether WAL is archived, what is wrong
      backup [options] <cluster>               take a base backup of a cluster or server now, and wait for it
      restore [options] <cluster|directory>    a cluster's data at a moment, as a new cluster (--to, --as); or a repository's into a directory, without a control plane
      promote [options] <cluster> [instance]   make a standby the primary, in a planned switchover
      psql [options] <cluster> [arguments...]  psql on a cluster's primary, as superuser
      logs [options] <cluster>                 what PostgreSQL has logged
      apply [options]                          bring the control plane's objects to what manifests say, all or none
      get [options] <kind...>                  show objects of the control plane
      describe [options] <kind...>             show one object with its status, conditions and events
      delete [options] [kind...]               delete objects, and what only they own; says first what goes, and asks
      events [options]                         what happened to objects, the latest last
      instance                                 one PostgreSQL instance, as the control plane runs it: server, archiving, base backups
      server                                   what the control plane runs beside a PostgreSQL that somebody else starts
      completion <shell>                       print a script with which a shell completes commands and flags
      help [command]                           display help for command
    tidemark: no command is given
    hint: See "tidemark --help".

    $ tidemark bakcup
    exit 2
    tidemark: unknown command "bakcup"
    hint: Did you mean backup? See "tidemark --help".

    $ tidemark bakcup -o json
    exit 2
    {
      "error": {
        "code": "usage",
        "message": "unknown command \\"bakcup\\"",
        "hint": "Did you mean backup? See \\"tidemark --help\\".",
        "details": {},
        "exitStatus": 2
      }
    }

    $ tidemark base
    exit 2
    Usage: tidemark base [options] [command]

    base backups, directly

    Options:
      -h, --help                     display help for command

    Commands:
      create [options]               take a base backup; done means its WAL is
                                     archived too
      list [options]                 the backups of a repository, oldest first
      show [options] <backup>        everything known about one backup
      delete [options] [backup]      delete a backup and the WAL that only it needs
      keep [options] <backup>        protect a backup from deletion and retention
      restore [options] <directory>  restore a server to a chosen moment, from the
                                     repository alone
      help [command]                 display help for command
    tidemark: no command is given
    hint: See "tidemark base --help".

    $ tidemark base crate
    exit 2
    tidemark: unknown command "crate"
    hint: Did you mean create? See "tidemark base --help".

    $ tidemark base list --rep <dir>/repo --server main
    exit 2
    tidemark: unknown option "--rep"
    hint: Did you mean --repo? See "tidemark base list --help".

    $ tidemark base list --repo
    exit 2
    tidemark: option "--repo <url>" argument missing
    hint: See "tidemark base list --help".

    $ tidemark base list surplus --repo <dir>/repo --server main
    exit 2
    tidemark: too many arguments for "list". Expected 0 arguments but got 1: surplus
    hint: See "tidemark base list --help".

    $ tidemark base restore
    exit 2
    tidemark: missing required argument "directory"
    hint: See "tidemark base restore --help".

    $ tidemark base restore <dir>/new -o
    exit 2
    tidemark: option "-o, --output <format>" argument missing
    hint: See "tidemark base restore --help".

    $ tidemark wal fetch 000000010000000000000001
    exit 150
    tidemark: missing required argument "destination"
    hint: See "tidemark wal fetch --help"."
  `);
});

test("a repository and a server name must be given, and be possible", async () => {
  expect(
    await answers(
      "base list",
      "base list --server main",
      "base list --repo <dir>/repo",
      "base list --repo <dir>/repo --server ../other",
      "base list --repo <dir>/repo --server .hidden",
      'base list --repo <dir>/repo --server ""',
      'base list --repo "" --server main',
      "base list --repo <dir>/missing --server main",
      "base list --repo <dir>/file --server main",
      "base list --repo <closed> --server main",
      "base list --repo <closed>/below --server main",
      "base list --repo ftp://host/path --server main",
      "base list --repo s3:// --server main",
      "base list --repo s3://key:secret@bucket/path --server main",
      "base list --repo file://host/path --server main",
      "base list --repo s3://bucket/path?colour=red --server main",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base list
    exit 3
    tidemark: no server name is given
    hint: Name the PostgreSQL system with --server, or with "server:" in the configuration file.

    $ tidemark base list --server main
    exit 3
    tidemark: no repository is given
    hint: Name one with --repo s3://bucket/path or --repo /srv/backup, or in the configuration file (--config).

    $ tidemark base list --repo <dir>/repo
    exit 3
    tidemark: no server name is given
    hint: Name the PostgreSQL system with --server, or with "server:" in the configuration file.

    $ tidemark base list --repo <dir>/repo --server ../other
    exit 2
    tidemark: "../other" cannot be a server name
    hint: Use 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.

    $ tidemark base list --repo <dir>/repo --server .hidden
    exit 2
    tidemark: ".hidden" cannot be a server name
    hint: Use 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.

    $ tidemark base list --repo <dir>/repo --server ""
    exit 2
    tidemark: "" cannot be a server name
    hint: Use 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.

    $ tidemark base list --repo "" --server main
    exit 2
    tidemark: "" is no place for a store
    hint: Write one of s3://bucket/path, gs://bucket/path, azure://account/container/path (or its https:// address), file:///path and plain paths.

    $ tidemark base list --repo <dir>/missing --server main
    exit 12
    tidemark: directory "<dir>/missing" does not exist
    hint: Create it, or mount the file system it is on; a directory of backups is not created by guess.

    $ tidemark base list --repo <dir>/file --server main
    exit 12
    tidemark: "<dir>/file" is not a directory
    hint: Name the directory that holds, or shall hold, the backups.

    $ tidemark base list --repo <closed> --server main
    exit 11
    tidemark: could not read "main/x-tidemark/keys/identities" in "<closed>": permission denied
    hint: Give the user this program runs as (uid N) read and write access to "<closed>" and all below it.

    $ tidemark base list --repo <closed>/below --server main
    exit 11
    tidemark: could not open the store in "<closed>/below": permission denied
    hint: Give the user this program runs as (uid N) read and write access to "<closed>/below" and all below it.

    $ tidemark base list --repo ftp://host/path --server main
    exit 2
    tidemark: "ftp://host/path" has the unknown scheme "ftp"
    hint: Supported are s3://bucket/path, gs://bucket/path, azure://account/container/path (or its https:// address), file:///path and plain paths.

    $ tidemark base list --repo s3:// --server main
    exit 2
    tidemark: "s3://" names no bucket
    hint: Write s3://bucket/path.

    $ tidemark base list --repo s3://key:secret@bucket/path --server main
    exit 2
    tidemark: "s3://bucket/path" came with credentials in the URL
    hint: URLs end up in logs and process lists: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, instead.

    $ tidemark base list --repo file://host/path --server main
    exit 2
    tidemark: "file://host/path" is not a file URL with a path alone
    hint: Write it with three slashes: file:///srv/backup.

    $ tidemark base list --repo s3://bucket/path?colour=red --server main
    exit 2
    tidemark: "s3://bucket/path" has the unknown parameter "colour"
    hint: Known are endpoint, region, path-style, ca-file, profile, aws-profile, proxy, part-size, conditional-create."
  `);
});

test("values of flags are checked before anything is opened", async () => {
  expect(
    await answers(
      "base list --repo <dir>/repo --server main -o yaml",
      "base list --repo <dir>/repo --server main --log-level loud",
      "base create -D <dir>/empty --repo <dir>/repo --server main --compression zip",
      "base create -D <dir>/empty --repo <dir>/repo --server main --compression xz",
      "base create -D <dir>/empty --repo <dir>/repo --server main --level fast",
      "base create -D <dir>/empty --repo <dir>/repo --server main --level 99",
      "base create -D <dir>/empty --repo <dir>/repo --server main --concurrency 0",
      "base create -D <dir>/empty --repo <dir>/repo --server main --max-part-size huge",
      "base create -D <dir>/empty --repo <dir>/repo --server main --tag colour",
      "base create -D <dir>/empty --repo <dir>/repo --server main --wal-timeout soon",
      "base create -D <dir>/empty --repo <dir>/repo --server main --connection mysql://localhost/x",
      "base keep latest --target half --repo <dir>/repo --server main",
      "base delete --repo <dir>/repo --server main",
      "base delete latest --incomplete --repo <dir>/repo --server main",
      "demo --major 9",
      "demo --major new",
      "wal push <dir>/file -D <dir>/empty --repo <dir>/repo --server main --compression bzip2",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base list --repo <dir>/repo --server main -o yaml
    exit 2
    tidemark: "yaml" is not an output format
    hint: Use -o text or -o json.

    $ tidemark base list --repo <dir>/repo --server main --log-level loud
    exit 2
    tidemark: "loud" is not a log level
    hint: Use debug, info, warn or error.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --compression zip
    exit 2
    tidemark: there is no compression "zip"
    hint: Write one of none, gzip, bzip2, xz, zstd, lz4, snappy.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --compression xz
    exit 2
    tidemark: base backups cannot be written with "xz", only read
    hint: Choose zstd, gzip, lz4, snappy or none.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --level fast
    exit 2
    tidemark: --level is "fast", but must be a whole number from 0 on

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --level 99
    exit 2
    tidemark: zstd has no level 99
    hint: Its levels are -7 to 22; left out, it is a fast one.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --concurrency 0
    exit 2
    tidemark: --concurrency is "0", but must be a whole number from 1 on

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --max-part-size huge
    exit 2
    tidemark: "huge" is not a size
    hint: Write a number and a unit, for example 64MiB.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --tag colour
    exit 2
    tidemark: "colour" is not a tag
    hint: Write a tag as key=value.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --wal-timeout soon
    exit 2
    tidemark: --wal-timeout is "soon", but must be a whole number from 1 on

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main --connection mysql://localhost/x
    exit 2
    tidemark: the connection URL is not understood
    hint: Write postgres://user@host:5432/database or postgres:///database?host=/var/run/postgresql; escape special characters with %.

    $ tidemark base keep latest --target half --repo <dir>/repo --server main
    exit 2
    tidemark: --target is "half"
    hint: Use full or standalone.

    $ tidemark base delete --repo <dir>/repo --server main
    exit 2
    tidemark: give either a backup or --incomplete
    hint: For example "tidemark base delete 20261121T090727", or "tidemark base delete --incomplete".

    $ tidemark base delete latest --incomplete --repo <dir>/repo --server main
    exit 2
    tidemark: give either a backup or --incomplete
    hint: For example "tidemark base delete 20261121T090727", or "tidemark base delete --incomplete".

    $ tidemark demo --major 9
    exit 2
    tidemark: --major is 9, which Tidemark does not know
    hint: Supported are 13, 14, 15, 16, 17, 18.

    $ tidemark demo --major new
    exit 2
    tidemark: --major is "new", but must be a whole number from 1 on

    $ tidemark wal push <dir>/file -D <dir>/empty --repo <dir>/repo --server main --compression bzip2
    exit 3
    tidemark: "<dir>/empty" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory)."
  `);
});

test("a restore's target must be one, and have its form", async () => {
  expect(
    await answers(
      "base restore <dir>/new --repo <dir>/repo --server main --to-latest --to-lsn 0/1",
      "base restore <dir>/new --repo <dir>/repo --server main --to-time 2026-11-21T14:29:59Z --to-xid 7",
      "base restore <dir>/new --repo <dir>/repo --server main --exclusive",
      "base restore <dir>/new --repo <dir>/repo --server main --to-name here --exclusive",
      "base restore <dir>/new --repo <dir>/repo --server main --to-time tomorrow",
      "base restore <dir>/new --repo <dir>/repo --server main --to-time 2026-02-31T12:00:00Z",
      'base restore <dir>/new --repo <dir>/repo --server main --to-time "2026-11-21 14:29:59 Europe/Berlin"',
      "base restore <dir>/new --repo <dir>/repo --server main --to-lsn 16B374D848",
      "base restore <dir>/new --repo <dir>/repo --server main --to-xid -1",
      "base restore <dir>/new --repo <dir>/repo --server main --to-xid 0",
      'base restore <dir>/new --repo <dir>/repo --server main --to-name ""',
      "base restore <dir>/new --repo <dir>/repo --server main --timeline newest",
      "base restore <dir>/new --repo <dir>/repo --server main --action explode",
      "base restore <dir>/new --repo <dir>/repo --server main --archiving maybe",
      "base restore <dir>/new --repo <dir>/repo --server main --tablespace fast",
      "base restore <dir>/new --repo <dir>/repo --server main --tablespace fast=relative/path",
      "base restore <dir>/new --repo <dir>/repo --server main --concurrency many",
      "base restore <dir>/empty --clean",
      "base restore <dir>/empty --clean --yes",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-latest --to-lsn 0/1
    exit 2
    tidemark: --to-latest and --to-lsn exclude each other
    hint: Give one target.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-time 2026-11-21T14:29:59Z --to-xid 7
    exit 2
    tidemark: --to-time and --to-xid exclude each other
    hint: Give one target.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --exclusive
    exit 2
    tidemark: --exclusive needs --to-time, --to-lsn or --to-xid

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-name here --exclusive
    exit 2
    tidemark: --exclusive needs --to-time, --to-lsn or --to-xid

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-time tomorrow
    exit 2
    tidemark: "tomorrow" is not a time
    hint: Write it with its zone, for example "2026-01-15 14:30:00+00" or 2026-01-15T14:30:00Z.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-time 2026-02-31T12:00:00Z
    exit 2
    tidemark: "2026-02-31T12:00:00Z" is not a time
    hint: Write it with its zone, for example "2026-01-15 14:30:00+00" or 2026-01-15T14:30:00Z.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-time "2026-11-21 14:29:59 Europe/Berlin"
    exit 2
    tidemark: "2026-11-21 14:29:59 Europe/Berlin" is not a time
    hint: Write it with its zone, for example "2026-01-15 14:30:00+00" or 2026-01-15T14:30:00Z.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-lsn 16B374D848
    exit 2
    tidemark: --to-lsn is "16B374D848", which is not an LSN
    hint: Write an LSN as PostgreSQL does, for example 16/B374D848.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-xid -1
    exit 2
    tidemark: recovery target xid "-1" is not a transaction ID
    hint: A transaction ID is a whole number from 3 to 4294967295.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-xid 0
    exit 2
    tidemark: recovery target xid "0" is not a transaction ID
    hint: A transaction ID is a whole number from 3 to 4294967295.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --to-name ""
    exit 2
    tidemark: recovery target name "" has 0 bytes, not 1 to 63
    hint: PostgreSQL limits the name of a restore point to 63 bytes.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --timeline newest
    exit 2
    tidemark: --timeline is "newest", which is no timeline
    hint: Give a timeline as a number from 1 on, or "latest".

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --action explode
    exit 2
    tidemark: --action is "explode"
    hint: Use promote, pause or shutdown.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --archiving maybe
    exit 2
    tidemark: --archiving is "maybe"
    hint: Use off or keep.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --tablespace fast
    exit 2
    tidemark: "fast" is not a tablespace mapping
    hint: Write the tablespace's name or old location and its new directory, for example fast=/mnt/nvme/fast.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --tablespace fast=relative/path
    exit 2
    tidemark: "fast=relative/path" is not a tablespace mapping
    hint: Write the tablespace's name or old location and its new directory, for example fast=/mnt/nvme/fast.

    $ tidemark base restore <dir>/new --repo <dir>/repo --server main --concurrency many
    exit 2
    tidemark: --concurrency is "many", but must be a whole number from 1 on

    $ tidemark base restore <dir>/empty --clean
    exit 2
    tidemark: this needs a confirmation, and there is no terminal to ask on
    hint: Add --yes when you have seen the plan (--dry-run).

    $ tidemark base restore <dir>/empty --clean --yes
    exit 0"
  `);
});

test("a repository without backups says so, and gives nothing", async () => {
  expect(
    await answers(
      "base restore <dir>/new --repo <dir>/repo --server main",
      "base restore <dir>/new --backup latest --repo <dir>/repo --server main",
      "base restore <dir>/new --backup nightly --repo <dir>/repo --server main",
      "base list --repo <dir>/repo --server main",
      "base show latest --repo <dir>/repo --server main",
      "base show nightly --repo <dir>/repo --server main",
      "base keep nightly --repo <dir>/repo --server main",
      "base delete nightly --yes --repo <dir>/repo --server main",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base restore <dir>/new --repo <dir>/repo --server main
    exit 50
    tidemark: this cannot be restored: repository "<dir>/repo/main" holds no finished backup
    hint: Are repository and server name right? A backup is taken with "tidemark base create".

    $ tidemark base restore <dir>/new --backup latest --repo <dir>/repo --server main
    exit 50
    tidemark: this cannot be restored: repository "<dir>/repo/main" holds no finished backup
    hint: Are repository and server name right? A backup is taken with "tidemark base create".

    $ tidemark base restore <dir>/new --backup nightly --repo <dir>/repo --server main
    exit 40
    tidemark: no backup "nightly" in repository "<dir>/repo/main"
    hint: The repository holds no backup yet.

    $ tidemark base list --repo <dir>/repo --server main
    exit 0

    $ tidemark base show latest --repo <dir>/repo --server main
    exit 40
    tidemark: no backup "latest" in repository "<dir>/repo/main"
    hint: The repository holds no backup yet.

    $ tidemark base show nightly --repo <dir>/repo --server main
    exit 40
    tidemark: no backup "nightly" in repository "<dir>/repo/main"
    hint: The repository holds no backup yet.

    $ tidemark base keep nightly --repo <dir>/repo --server main
    exit 40
    tidemark: no backup "nightly" in repository "<dir>/repo/main"
    hint: The repository holds no backup yet.

    $ tidemark base delete nightly --yes --repo <dir>/repo --server main
    exit 40
    tidemark: no backup "nightly" in repository "<dir>/repo/main"
    hint: The repository holds no backup yet."
  `);
});

test("wal fetch answers 1 only for what is certainly not there, and 150 for every mistake", async () => {
  expect(
    await answers(
      "wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo --server main",
      "wal fetch 00000002.history <dir>/segment --repo <dir>/repo --server main",
      "wal fetch nonsense <dir>/segment --repo <dir>/repo --server main",
      "wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/missing --server main",
      "wal fetch 000000010000000000000001 <dir>/segment --repo <closed> --server main",
      "wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo",
      "wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo --server main --colour red",
      "wal fetch 000000010000000000000001 <dir>/segment --config <dir>/unknown-key.yaml",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo --server main
    exit 150
    tidemark: there is nothing of server "main" in <dir>/repo
    hint: Are repository and server name right? Nothing was ever archived here under this name.

    $ tidemark wal fetch 00000002.history <dir>/segment --repo <dir>/repo --server main
    exit 150
    tidemark: there is nothing of server "main" in <dir>/repo
    hint: Are repository and server name right? Nothing was ever archived here under this name.

    $ tidemark wal fetch nonsense <dir>/segment --repo <dir>/repo --server main
    exit 150
    tidemark: "nonsense" is not the name of a WAL file
    hint: Give a segment (24 hexadecimal digits), a history file, a partial segment or a backup label file.

    $ tidemark wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/missing --server main
    exit 150
    tidemark: directory "<dir>/missing" does not exist
    hint: Create it, or mount the file system it is on; a directory of backups is not created by guess.

    $ tidemark wal fetch 000000010000000000000001 <dir>/segment --repo <closed> --server main
    exit 150
    {"time":"…","level":"warn","message":"could not fetch a WAL file here","server":"main","repository":"repo1","segment":"000000010000000000000001","error":"could not read \\"main/x-tidemark/keys/identities\\" in \\"<closed>\\": permission denied"}
    tidemark: could not read "main/x-tidemark/keys/identities" in "<closed>": permission denied
    hint: Give the user this program runs as (uid N) read and write access to "<closed>" and all below it.

    $ tidemark wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo
    exit 150
    tidemark: no server name is given
    hint: Name the PostgreSQL system with --server, or with "server:" in the configuration file.

    $ tidemark wal fetch 000000010000000000000001 <dir>/segment --repo <dir>/repo --server main --colour red
    exit 150
    tidemark: unknown option "--colour"
    hint: See "tidemark wal fetch --help".

    $ tidemark wal fetch 000000010000000000000001 <dir>/segment --config <dir>/unknown-key.yaml
    exit 150
    tidemark: "<dir>/unknown-key.yaml" is not a valid configuration: unknown key "repositorys"
    hint: The keys and their meaning are in docs/configuration.md."
  `);
});

test("a data directory must be one", async () => {
  expect(
    await answers(
      "wal push 000000010000000000000001 --repo <dir>/repo --server main",
      "wal push <dir>/empty/pg_wal/000000010000000000000001 --repo <dir>/repo --server main",
      "wal push 000000010000000000000001 -D <dir>/missing --repo <dir>/repo --server main",
      "agent --repo <dir>/repo --server main",
      "agent settings --repo <dir>/repo --server main",
      "agent settings -D <dir>/empty",
      "agent settings -D <dir>/missing",
      "agent status -D <dir>/empty",
      "agent status --spool <dir>/empty",
      "agent status",
      "base create -D <dir>/empty --repo <dir>/repo --server main",
      "base create -D <dir>/missing --repo <dir>/repo --server main",
      "base create -D <dir>/file --repo <dir>/repo --server main",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark wal push 000000010000000000000001 --repo <dir>/repo --server main
    exit 3
    tidemark: "/" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark wal push <dir>/empty/pg_wal/000000010000000000000001 --repo <dir>/repo --server main
    exit 3
    tidemark: "<dir>/empty" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark wal push 000000010000000000000001 -D <dir>/missing --repo <dir>/repo --server main
    exit 3
    tidemark: "<dir>/missing" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark agent --repo <dir>/repo --server main
    exit 3
    tidemark: no data directory is given
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA.

    $ tidemark agent settings --repo <dir>/repo --server main
    exit 3
    tidemark: no data directory is given
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA.

    $ tidemark agent settings -D <dir>/empty
    exit 3
    tidemark: "<dir>/empty" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark agent settings -D <dir>/missing
    exit 3
    tidemark: "<dir>/missing" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark agent status -D <dir>/empty
    exit 3
    tidemark: "<dir>/empty" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark agent status --spool <dir>/empty
    exit 55
    tidemark: no agent has used the spool "<dir>/empty"
    hint: Start one with: tidemark agent.

    $ tidemark agent status
    exit 3
    tidemark: no spool directory is given
    hint: Name it with --spool, or name the data directory with -D: the spool is then beside it.

    $ tidemark base create -D <dir>/empty --repo <dir>/repo --server main
    exit 3
    tidemark: "<dir>/empty" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark base create -D <dir>/missing --repo <dir>/repo --server main
    exit 3
    tidemark: "<dir>/missing" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).

    $ tidemark base create -D <dir>/file --repo <dir>/repo --server main
    exit 3
    tidemark: "<dir>/file" is not a data directory: there is no "global/pg_control" in it
    hint: Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory)."
  `);
});

test("a configuration file's mistakes are all named, with their place", async () => {
  expect(
    await answers(
      "base list --config <dir>/missing.yaml",
      "base list --config <dir>/missing.yaml -o json",
      "base list --config <dir>/empty",
      "base list --config <dir>/not-yaml.yaml",
      "base list --config <dir>/two-documents.yaml",
      "base list --config <dir>/a-list.yaml",
      "base list --config <dir>/unknown-key.yaml",
      "base list --config <dir>/unknown-inner-key.yaml",
      "base list --config <dir>/wrong-type.yaml",
      "base list --config <dir>/bad-values.yaml",
      "base list --config <dir>/same-name.yaml",
      "base list --config <dir>/no-repositories.yaml",
      "agent -D <dir>/empty --config <dir>/bad-policy.yaml",
      "agent -D <dir>/empty --config <dir>/high-policy.yaml",
    ),
  ).toMatchInlineSnapshot(`
    "$ tidemark base list --config <dir>/missing.yaml
    exit 3
    tidemark: could not read the configuration file "<dir>/missing.yaml": no such file or directory
    hint: Give its path with --config, or leave it out and use flags.

    $ tidemark base list --config <dir>/missing.yaml -o json
    exit 3
    {
      "error": {
        "code": "config",
        "message": "could not read the configuration file \\"<dir>/missing.yaml\\": no such file or directory",
        "hint": "Give its path with --config, or leave it out and use flags.",
        "details": {},
        "exitStatus": 3
      }
    }

    $ tidemark base list --config <dir>/empty
    exit 3
    tidemark: could not read the configuration file "<dir>/empty": illegal operation on a directory
    hint: Give its path with --config, or leave it out and use flags.

    $ tidemark base list --config <dir>/not-yaml.yaml
    exit 3
    tidemark: "<dir>/not-yaml.yaml" is not valid YAML: line 3: Flow sequence in block collection must be sufficiently indented and end with a ]
    hint: docs/configuration.md has a whole file to compare with.

    $ tidemark base list --config <dir>/two-documents.yaml
    exit 3
    tidemark: "<dir>/two-documents.yaml" is not valid YAML: line 2: a second document begins
    hint: docs/configuration.md has a whole file to compare with.

    $ tidemark base list --config <dir>/a-list.yaml
    exit 3
    tidemark: "<dir>/a-list.yaml" is not a valid configuration: expected object, received array
    hint: The keys and their meaning are in docs/configuration.md.

    $ tidemark base list --config <dir>/unknown-key.yaml
    exit 3
    tidemark: "<dir>/unknown-key.yaml" is not a valid configuration: unknown key "repositorys"
    hint: The keys and their meaning are in docs/configuration.md.

    $ tidemark base list --config <dir>/unknown-inner-key.yaml
    exit 3
    tidemark: "<dir>/unknown-inner-key.yaml" is not a valid configuration: repositories.0: unknown key "pathstyle"
    hint: The keys and their meaning are in docs/configuration.md.

    $ tidemark base list --config <dir>/wrong-type.yaml
    exit 3
    tidemark: "<dir>/wrong-type.yaml" is not a valid configuration: server: expected string, received number; repositories: expected array, received object
    hint: The keys and their meaning are in docs/configuration.md.

    $ tidemark base list --config <dir>/bad-values.yaml
    exit 3
    tidemark: "<dir>/bad-values.yaml" is not a valid configuration: wal.compression: expected one of "none"|"gzip"|"bzip2"|"xz"|"zstd"|"lz4"|"snappy"; wal.concurrency: Too small: expected number to be >0; backup.level: expected number, received string; backup.maxPartSize: "big" is not a size
    hint: The keys and their meaning are in docs/configuration.md.

    $ tidemark base list --config <dir>/same-name.yaml
    exit 3
    tidemark: two repositories are called "a"
    hint: Give each a name of its own.

    $ tidemark base list --config <dir>/no-repositories.yaml
    exit 3
    tidemark: no repository is given
    hint: Name one with --repo s3://bucket/path or --repo /srv/backup, or in the configuration file (--config).

    $ tidemark agent -D <dir>/empty --config <dir>/bad-policy.yaml
    exit 3
    tidemark: archive policy is not possible: there is no repository "elsewhere"
    hint: The repositories are repo1.

    $ tidemark agent -D <dir>/empty --config <dir>/high-policy.yaml
    exit 3
    tidemark: archive policy is not possible: it asks for 2 repositories, and there are 1
    hint: The repositories are repo1."
  `);
});
