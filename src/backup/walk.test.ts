import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../common/log.ts";
import { dataEntryRule, tablespaceEntryRule } from "./exclusions.ts";
import { walkTree, type WalkRoot } from "./walk.ts";
import { surveyArchive, workItems } from "./work-queue.ts";

let root: string;
let warnings: string[];
const log = createLog((level, message) => {
  if (level === "warn") warnings.push(message);
});
const put = (path: string, bytes = 1) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), Buffer.alloc(bytes));
};
const dataRoot = (): WalkRoot => ({
  archive: "data",
  directory: root,
  top: ".",
  ruleFor: dataEntryRule,
  separate: new Set([join(root, "inside")]),
});
const paths = (tree: WalkRoot) => [...walkTree(tree, log)].map(({ path }) => path).sort();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "walk-"));
  warnings = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("the walk over a data directory", () => {
  it("keeps emptied directories, also linked ones, and leaves their contents out", () => {
    put("pg_wal/000000010000000000000001");
    put("pg_wal/archive_status/x");
    put("log/postgresql.log");
    put("other/log/mine");
    mkdirSync(join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), join(root, "pg_stat_tmp"));

    expect(paths(dataRoot())).toEqual([
      ".",
      "elsewhere",
      "log",
      "other",
      "other/log",
      "other/log/mine",
      "pg_stat_tmp",
      "pg_wal",
    ]);
    expect(warnings).toEqual([]);
  });

  it("leaves out temporary relations and all forks of unlogged ones but init", () => {
    for (const name of [
      "1",
      "1_vm",
      "2",
      "2.1",
      "2_fsm",
      "2_init",
      "t3_4",
      "t3_4_fsm",
      "PG_VERSION",
      "pg_internal.init.77",
    ]) {
      put(`base/5/${name}`);
    }
    put("global/pg_control");
    put("global/1262");

    expect(paths(dataRoot())).toEqual([
      ".",
      "base",
      "base/5",
      "base/5/1",
      "base/5/1_vm",
      "base/5/2_init",
      "base/5/PG_VERSION",
      "global",
      "global/1262",
    ]);
  });

  it("leaves out an unlogged relation that is made while the walk is in its directory", () => {
    for (const name of ["1", "2", "3"]) put(`base/5/${name}`);
    const seen: string[] = [];

    for (const { kind, path } of walkTree(dataRoot(), log)) {
      if (kind !== "file") continue;
      // Once in the directory, the two others turn out to be unlogged.
      if (seen.length === 0) {
        for (const name of ["1", "2", "3"]) if (path !== `base/5/${name}`) put(`base/5/${name}_init`);
      }
      if (!path.endsWith("_init")) seen.push(path);
    }

    expect(seen).toHaveLength(1);
  });

  it("skips links to tablespaces, pipes, and directories with an archive of their own; keeps tablespaces in place", () => {
    mkdirSync(join(root, "pg_tblspc"));
    symlinkSync("/srv/space", join(root, "pg_tblspc/16384"));
    put("pg_tblspc/16385/PG_15_202209061/5/16386");
    put("inside/PG_15_202209061/5/1");
    execFileSync("mkfifo", [join(root, "pipe")]);
    symlinkSync("/etc/hostname", join(root, "link.conf"));
    symlinkSync("/etc", join(root, "dir"));

    expect(paths(dataRoot())).toEqual([
      ".",
      "dir",
      "link.conf",
      "pg_tblspc",
      "pg_tblspc/16385",
      "pg_tblspc/16385/PG_15_202209061",
      "pg_tblspc/16385/PG_15_202209061/5",
      "pg_tblspc/16385/PG_15_202209061/5/16386",
    ]);
    expect(warnings).toHaveLength(1);
  });

  it.each([
    "base/16384",
    "base/5/16385",
    "pg_xact",
    "pg_multixact/members",
    "pg_tblspc",
    "pg_tblspc/16384/x",
  ])("refuses a link at %s, behind which data would be missing from the backup", (path) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync("/etc", join(root, path));

    expect(() => paths(dataRoot())).toThrow(
      expect.objectContaining({ code: "backup-failed", message: expect.stringContaining(join(root, path)) }),
    );
  });

  it("refuses a link in a tablespace", () => {
    symlinkSync("/etc", join(root, "5"));
    const tree = {
      ...dataRoot(),
      archive: "16384",
      top: "PG_15_202209061",
      ruleFor: tablespaceEntryRule,
    } as const;

    expect(() => paths(tree)).toThrow("is a link in a directory of PostgreSQL's own");
  });

  it("refuses a file whose name is not UTF-8, because it could not be opened by it", () => {
    execFileSync("bash", ["-c", `touch '${root}/'$'bad\\xff'`]);

    expect(() => paths(dataRoot())).toThrow("is not UTF-8");
  });

  it("names a tablespace's entries below its version's directory", () => {
    put("5/16386");
    put("pgsql_tmp/x");
    const tree = {
      ...dataRoot(),
      archive: "16384",
      top: "PG_15_202209061",
      ruleFor: tablespaceEntryRule,
    } as const;

    expect(paths(tree)).toEqual(["PG_15_202209061", "PG_15_202209061/5", "PG_15_202209061/5/16386"]);
    expect(
      [...walkTree(tree, log)].some((entry) => entry.kind === "file" && entry.relation !== undefined),
    ).toBe(true);
  });

  it("is empty when the directory has vanished", () => {
    expect(paths({ ...dataRoot(), directory: join(root, "gone") })).toEqual([]);
  });
});

describe("the work", () => {
  it("is every file once: large ones first, largest first, whatever their size has become", async () => {
    for (let at = 0; at < 50; at++) put(`base/5/${at}`, at * 10);
    const survey = await surveyArchive(dataRoot(), log, new AbortController().signal, 400);
    writeFileSync(join(root, "base/5/45"), "small now");
    writeFileSync(join(root, "base/5/3"), Buffer.alloc(1000));
    put("base/5/99");

    const items = [...workItems([survey], log)];

    expect(items[0]).toMatchObject({ kind: "preamble", archive: "data" });
    const names = items.flatMap((item) => (item.kind === "file" ? [item.file.path] : []));
    expect(names.slice(0, 10)).toEqual([49, 48, 47, 46, 45, 44, 43, 42, 41, 40].map((at) => `base/5/${at}`));
    expect(names.toSorted()).toEqual(
      [...Array.from({ length: 50 }, (_, at) => `base/5/${at}`), "base/5/99"].sort(),
    );
    expect(survey.fileCount).toBe(50);
    expect(survey.totalBytes).toBe(12_250);
  });

  it("starts with the largest archive, each with its preamble", async () => {
    put("a/base/1", 10);
    put("b/5/1", 100);
    const signal = new AbortController().signal;
    const data = await surveyArchive({ ...dataRoot(), directory: join(root, "a") }, log, signal);
    const space = await surveyArchive(
      { ...dataRoot(), directory: join(root, "b"), archive: "16384", top: "PG_15_1" },
      log,
      signal,
    );

    const items = [...workItems([data, space], log)];

    expect(items.map(({ archive, kind }) => `${archive} ${kind}`)).toEqual([
      "16384 preamble",
      "16384 file",
      "data preamble",
      "data file",
    ]);
  });
});
