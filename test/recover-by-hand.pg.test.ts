import { readdir, rm } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { connect } from "../src/postgres/connection.ts";
import { binariesReachableBy } from "../src/postgres/server-binaries-access.ts";
import { runProgram, type ProgramResult } from "../src/postgres/server-process.ts";
import { adoptServer } from "../src/postgres/server.ts";
import { majorsUnderTest } from "../src/postgres/testing/majors-under-test.ts";
import { identityFile } from "./support/age-keys.ts";
import { untilDrained } from "./support/archive-audit.ts";
import { readShellCommands } from "./support/page-commands.ts";
import { leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { addRow, makeTables, readContents, type Contents } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";

const page = await readShellCommands(new URL("../docs/recover-by-hand.md", import.meta.url));
const oldest = majorsUnderTest()[0] ?? 13;
const reason = await reasonToSkip(["zstd", "gzip", "tar", "age"]);

describe.skipIf(reason !== undefined)(
  `docs/recover-by-hand.md, followed to the letter${leftOut(reason)}`,
  () => {
    test("gives back every row from an archive in zstd, up to a moment", async () => {
      await using system = await startSystem();
      const written = await writeHistory(system, ["--compression", "zstd"]);

      const { result, contents, folder } = await recoverByHand(system, { TARGET: written.middle.time });

      expect(result.stderr).toBe("");
      expect(result.stdout).toContain("recovery stopping before commit of transaction");
      expect(result.stdout).toContain("archive recovery complete");
      expect(folder).toContain("backup_label.old");
      expect(contents).toEqual({ ...written.end, ids: [1, 2] });
    });

    test("gives back every row from an archive in gzip, with tablespaces and several parts of each", async () => {
      await using system = await startSystem({ major: oldest });
      const form = ["--compression", "gzip", "--max-part-size", "1MiB"];
      const written = await writeHistory(system, form, { fast: await system.server.folder.make("fast") });
      const [backup = ""] = await readdir(`${system.repositoryDirectory}/main/base`);
      const parts = await readdir(`${system.repositoryDirectory}/main/base/${backup}`);

      const { result, contents, folder, spaces } = await recoverByHand(system, {});

      expect(parts).toEqual(expect.arrayContaining(["data.tar.gz", "data_0001.tar.gz"]));
      expect(parts.filter((name) => /^\d+(_\d{4})?\.tar\.gz$/.test(name)).length).toBeGreaterThan(1);
      expect(result.stderr).toBe("");
      expect(result.stdout).toContain("archive recovery complete");
      expect(folder).not.toContain("fetch-wal.sh");
      expect(contents).toEqual(written.end);
      expect(spaces).toEqual([expect.stringContaining(`${system.path("by-hand")}.ts/`)]);
    });

    test("gives back every row from an encrypted archive", async () => {
      await using system = await startSystem();
      const { user } = system.server.folder;
      const { path } = await identityFile(system.path("identity.txt"), user);
      const written = await writeHistory(system, ["--compression", "zstd"], {
        place: ["--identity-file", path],
      });

      const { result, contents } = await recoverByHand(system, { IDENTITY: path });

      expect(result.stderr).toBe("");
      expect(result.stdout).toContain("archive recovery complete");
      expect(contents).toEqual(written.end);
      expect(await readdir(system.path(""))).toEqual(["identity.txt"]);
    });
  },
);

/** Rows before the backup, after it and behind the moment that is gone back to. */
async function writeHistory(
  system: System,
  form: readonly string[],
  { fast, place = [] }: { readonly fast?: string; readonly place?: readonly string[] } = {},
) {
  const { sql, dataDirectory } = system.server;
  const compression = form.slice(0, 2);
  await using _agent = await system.agent({ args: [...compression, ...place] });
  if (fast !== undefined) await sql(`CREATE TABLESPACE fast LOCATION '${fast}'`);
  await makeTables(sql);
  if (fast !== undefined) {
    await sql("ALTER TABLE bulk SET TABLESPACE fast");
    await sql("CREATE TABLE more TABLESPACE fast AS SELECT * FROM bulk");
  }
  await addRow(sql, 1);
  await system.json(["base", "create", "-D", dataDirectory, ...form, ...place]);
  const middle = await addRow(sql, 2);
  await sql("SELECT pg_switch_wal()");
  await addRow(sql, 3);
  const end = await readContents(sql);
  await sql("SELECT pg_switch_wal()");
  await untilDrained(dataDirectory);
  return { middle, end };
}

interface ByHand {
  readonly result: ProgramResult;
  readonly contents: Contents | undefined;
  /** What the data directory holds at the end. */
  readonly folder: readonly string[];
  /** Where the restored server has its tablespaces. */
  readonly spaces: readonly string[];
}

/** Runs the page's commands as the server's user, with its variables set from outside, and reads the rows. */
async function recoverByHand(system: System, variables: Readonly<Record<string, string>>): Promise<ByHand> {
  const { user } = system.server.folder;
  const restored = system.path("by-hand");
  const { directory } = await binariesReachableBy(user, system.server.binaries);
  const result = await runProgram("sh", ["-euc", page], {
    user,
    timeoutMs: 60_000,
    environment: {
      REPO: `${system.repositoryDirectory}/main`,
      RESTORED: restored,
      PATH: `${directory}:${process.env["PATH"]}`,
      ...variables,
    },
  });
  const server = await adoptServer({ dataDirectory: restored });
  if (server === undefined) throw new Error(`no server runs: ${JSON.stringify(result)}`);
  try {
    await using session = await connect(server.connection);
    const sql = session.query.bind(session);
    const spaces = await sql<{ path: string }>(
      "SELECT pg_tablespace_location(oid) AS path FROM pg_tablespace WHERE spcname = 'fast'",
    );
    return {
      result,
      contents: await readContents(sql),
      folder: await readdir(restored),
      spaces: spaces.map(({ path }) => path),
    };
  } finally {
    await server.stop("immediate");
    await rm(restored, { recursive: true });
  }
}
