import { copyFile, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testFolder, testServer } from "../src/postgres/testing/test-server.ts";
import { startCephGateway, type CephGateway } from "./ceph/ceph-gateway.ts";
import { archivedByBarman, letTidemarkArchive, type ArchivedServer } from "./support/archived-server.ts";
import { barmanBackup, barmanBackups, barmanCloudOutput } from "./support/barman-program.ts";
import { archiveAll, makeLedger, readTables, writeAndNote, type Moment } from "./support/ledger.ts";
import { barmanOnCeph, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { s3Place } from "./support/s3-place.ts";
import { restoreWithTidemark } from "./support/restored-by-tidemark.ts";
import { tidemark, tidemarkJson } from "./support/programs.ts";

const skipped = await reasonToSkip(barmanOnCeph);

interface PushOutput {
  readonly outcomes: readonly { readonly outcome: string }[];
}

/** The story of one archive, in order: begun by Barman, taken over by us, and cleaned up. */
describe.skipIf(skipped !== undefined)(
  `an archive begun by Barman and taken over by us${leftOut(skipped)}`,
  () => {
    const server = "main";
    let gateway: CephGateway;
    let source: ArchivedServer;
    let theirs: string;
    let segment: string;
    let barmanEnd: Moment;

    beforeAll(async () => {
      gateway = await startCephGateway();
      source = await archivedByBarman(await s3Place(gateway), {
        major: 15,
        name: server,
        options: ["--gzip"],
      });
      await makeLedger(source.pg, await source.pg.folder.make("fast"));
      theirs = await barmanBackup(source, ["--gzip"]);
      barmanEnd = await writeAndNote(source.pg, "the end of Barman's time");
      await archiveAll(source.pg);
      segment = (await barmanBackups(source.place, server))[0]?.end_wal ?? "";
    });
    afterAll(async () => {
      await source?.[Symbol.asyncDispose]();
      await gateway?.stop();
    });

    /** A copy of the archived segment, fetched by us, in a `pg_wal` of its own. */
    async function fetched(directory: string): Promise<string> {
      const path = join(directory, segment);
      const run = await tidemark(
        ["wal", "fetch", segment, path, ...source.place.tidemark(server)],
        source.place,
      );
      expect(run).toMatchObject({ code: 0, stderr: "" });
      return path;
    }

    async function push(path: string, ...more: readonly string[]) {
      return tidemark(["wal", "push", path, ...source.options, ...more], source.place);
    }

    it("wal fetch gives the bytes that PostgreSQL wrote, and the ones that Barman gives", async () => {
      await using folder = await testFolder();
      const directory = await folder.make("wal");
      const ours = await fetched(directory);
      const other = join(directory, "by-barman");
      await barmanCloudOutput(source.place, "wal-restore", server, { rest: [segment, other] });

      expect(await readAll(ours)).toEqual(await readAll(other));
      expect(await readdir(directory)).toEqual(expect.arrayContaining([segment, "by-barman"]));
    });

    it("another system is refused before it writes anything", async () => {
      await using stranger = await testServer({ major: 15 });
      const [file] = await stranger.sql<{ name: string }>(
        "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name",
      );
      await stranger.sql("SELECT pg_switch_wal()");
      const path = join(stranger.dataDirectory, "pg_wal", file?.name ?? "");
      const options = ["-D", stranger.dataDirectory, ...source.place.tidemark(server)];
      const pushed = await tidemark(["wal", "push", path, ...options], source.place);
      const backedUp = await tidemark(["base", "create", ...options], source.place);

      expect(pushed).toMatchObject({
        code: 33,
        stderr: expect.stringContaining("belongs to PostgreSQL system"),
      });
      expect(backedUp).toMatchObject({ code: 33 });
      expect(await barmanBackups(source.place, server)).toHaveLength(1);
    });

    it("a segment that is there with the same content is a success, whatever the codec; other content is refused", async () => {
      await using folder = await testFolder();
      const path = await fetched(await folder.make("wal"));
      const same = await tidemarkJson<PushOutput>(
        ["wal", "push", path, ...source.options, "--compression", "zstd"],
        source.place,
      );
      const changed = await folder.make("changed");
      await copyFile(path, join(changed, segment));
      await using file = await open(join(changed, segment), "r+");
      await file.write(Buffer.from("not what was archived"), 0, 21, 5000);
      const other = await push(join(changed, segment));

      expect(same.outcomes).toEqual([expect.objectContaining({ outcome: "already-archived" })]);
      expect(other).toMatchObject({ code: 32 });
      expect(other.stderr).toContain(segment);
    });

    it("our agent goes on where Barman stopped: a Barman backup replays through both to the end", async () => {
      await using _agent = await letTidemarkArchive(source.pg, source.place, {
        name: server,
        compression: "gzip",
      });
      await writeAndNote(source.pg, "in our time");
      const ours = await tidemarkJson<{ readonly id: string }>(
        ["base", "create", ...source.options, "--compression", "gzip"],
        source.place,
      );
      await source.pg.sql("DELETE FROM entries WHERE id % 3 = 0");
      await archiveAll(source.pg);
      const end = await readTables(source.pg);

      const fromTheirs = await restoreWithTidemark(source.place, server, ["--backup", theirs, "--to-latest"]);
      const atTheirEnd = await restoreWithTidemark(source.place, server, ["--to-time", barmanEnd.time]);
      expect(fromTheirs.tables).toEqual(end);
      expect(atTheirEnd).toMatchObject({ backup: theirs, tables: barmanEnd.tables });
      expect((await barmanBackups(source.place, server)).map(({ backup_id }) => backup_id)).toEqual([
        theirs,
        ours.id,
      ]);
    });

    it("base delete removes a Barman backup and the WAL that only it needs, and Barman agrees", async () => {
      const deleted = await tidemarkJson<{ readonly id: string; readonly walFiles: readonly string[] }>(
        ["base", "delete", theirs, "--yes", ...source.place.tidemark(server)],
        source.place,
      );
      await using folder = await testFolder();
      const gone = await tidemark(
        ["wal", "fetch", segment, join(await folder.make("wal"), segment), ...source.place.tidemark(server)],
        source.place,
      );
      const left = await barmanBackups(source.place, server);

      expect(deleted.id).toBe(theirs);
      expect(deleted.walFiles).toContain(segment);
      expect(gone.code).toBe(1);
      expect(left).toMatchObject([{ status: "DONE" }]);
      const back = await restoreWithTidemark(source.place, server, []);
      expect(back.backup).toBe(left[0]?.backup_id);
      expect(back.tables).toEqual(await readTables(source.pg));
    });
  },
);

async function readAll(path: string): Promise<Buffer> {
  await using file = await open(path);
  return await file.readFile();
}
