import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testFolder, testServer, type TestFolder } from "../src/postgres/testing/test-server.ts";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { archivedByBarman, letTidemarkArchive, type ArchivedServer } from "./support/archived-server.ts";
import { barmanBackup, barmanBackups, barmanCloud, barmanCloudOutput } from "./support/barman-program.ts";
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
    let source: ArchivedServer;
    let theirs: string;
    let segment: string;
    let barmanEnd: Moment;

    beforeAll(async () => {
      source = await archivedByBarman(await s3Place(sharedCephGateway()), {
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
    afterAll(async () => source?.[Symbol.asyncDispose]());

    /** The archived segment, fetched by us as the server's user does, in a `pg_wal` of its own. */
    async function fetched(folder: TestFolder): Promise<string> {
      const path = join(await folder.make("wal"), segment);
      const args = ["wal", "fetch", segment, path, ...source.place.tidemark(server)];
      const run = await tidemark(args, { ...source.place, user: folder.user });
      expect(run).toMatchObject({ code: 0, stderr: "" });
      return path;
    }

    async function push(path: string, ...more: readonly string[]) {
      return tidemark(["wal", "push", path, ...source.options, ...more], source.place);
    }

    it("wal fetch gives the bytes that PostgreSQL wrote, and the ones that Barman gives", async () => {
      await using folder = await testFolder();
      const path = await fetched(folder);
      const other = join(dirname(path), "by-barman");
      await barmanCloudOutput(source.place, "wal-restore", server, { rest: [segment, other] });

      const bytes = await readFile(path);
      expect(bytes.equals(await readFile(join(source.pg.dataDirectory, "pg_wal", segment)))).toBe(true);
      expect(bytes.equals(await readFile(other))).toBe(true);
    });

    it("another system is refused before it writes anything", async () => {
      await using stranger = await testServer({
        major: 15,
        settings: { archive_mode: "on", archive_command: "false" },
      });
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
      expect(backedUp).toMatchObject({
        code: 33,
        stderr: expect.stringContaining("belongs to PostgreSQL system"),
      });
      expect(await barmanBackups(source.place, server)).toHaveLength(1);
    });

    it("a segment that is there with the same content is a success, whatever the codec; other content is refused", async () => {
      await using folder = await testFolder();
      const path = await fetched(folder);
      const same = await tidemarkJson<PushOutput>(
        ["wal", "push", path, ...source.options, "--compression", "zstd"],
        source.place,
      );
      const changed = join(await folder.make("changed"), segment);
      const bytes = await readFile(path);
      bytes.write("not what was archived", 5000);
      await writeFile(changed, bytes);
      const other = await push(changed);

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

    it("a keep mark on a Barman backup, by whom ever, stops both programs from deleting it", async () => {
      const delete_ = { options: ["--backup-id", theirs] };
      const marking = [
        async () =>
          barmanCloudOutput(source.place, "backup-keep", server, {
            options: ["--target", "full"],
            rest: [theirs],
          }),
        async () =>
          tidemarkJson(
            ["base", "keep", theirs, "--target", "standalone", ...source.place.tidemark(server)],
            source.place,
          ),
      ];
      for (const mark of marking) {
        await mark();
        const ours = await tidemark(
          ["base", "delete", theirs, "--yes", "--force", ...source.place.tidemark(server)],
          source.place,
        );
        const barman = await barmanCloud(source.place, "backup-delete", server, delete_);

        expect(ours).toMatchObject({ code: 43, stderr: expect.stringContaining(theirs) });
        expect(barman).toMatchObject({ code: 1, stderr: expect.stringContaining("keep") });
      }
      await barmanCloudOutput(source.place, "backup-keep", server, {
        options: ["--release"],
        rest: [theirs],
      });
      expect((await barmanBackups(source.place, server)).map(({ backup_id }) => backup_id)).toContain(theirs);
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
