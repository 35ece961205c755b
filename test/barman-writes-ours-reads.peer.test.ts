import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { archivedByBarman, majorsWithBarman, type ArchivedServer } from "./support/archived-server.ts";
import { barmanBackup, barmanBackups } from "./support/barman-program.ts";
import { archiveAll, makeLedger, readTables, writeAndNote, type Moment } from "./support/ledger.ts";
import { barmanOnCeph, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { objectNames, s3Place } from "./support/s3-place.ts";
import { restoreWithTidemark } from "./support/restored-by-tidemark.ts";
import { tidemark, tidemarkJson } from "./support/programs.ts";

const skipped = await reasonToSkip(barmanOnCeph);

/** One major reads compressed WAL, the other plain: both are ways in which people run Barman. */
const walOptions = { 15: ["--gzip"], 18: [] } as const;

describe.skipIf(skipped !== undefined)(`what Barman's tools wrote, read by us${leftOut(skipped)}`, () => {
  describe.each(majorsWithBarman)("PostgreSQL %i", (major) => {
    const server = "theirs";
    let source: ArchivedServer;
    const ids = { gzip: "", bzip2: "", plain: "" };
    let afterGzip: Moment;
    let afterBzip2: Moment;
    let good: Moment;
    let end: Moment["tables"];

    beforeAll(async () => {
      const options = walOptions[major];
      source = await archivedByBarman(await s3Place(sharedCephGateway()), { major, name: server, options });
      await makeLedger(source.pg, await source.pg.folder.make("fast"));
      ids.gzip = await barmanBackup(source, ["--gzip", "--max-archive-size", "1MB", "--name", "nightly"]);
      afterGzip = await writeAndNote(source.pg, "after gzip");
      ids.bzip2 = await barmanBackup(source, ["--bzip2", "--max-archive-size", "1MB"]);
      afterBzip2 = await writeAndNote(source.pg, "after bzip2");
      ids.plain = await barmanBackup(source, ["--max-archive-size", "4MB"]);
      good = await writeAndNote(source.pg, "before the accident");
      await source.pg.sql("DROP TABLE entries; DELETE FROM fast_2 WHERE id % 2 = 0");
      end = await readTables(source.pg);
      await archiveAll(source.pg);
    });
    afterAll(async () => source?.[Symbol.asyncDispose]());

    it("the backups to be read are in several parts, with a tablespace, in every codec Barman has here", async () => {
      for (const [id, extension] of [
        [ids.gzip, ".gz"],
        [ids.bzip2, ".bz2"],
        [ids.plain, ""],
      ] as const) {
        const names = await objectNames(source.place, `${server}/base/${id}/`);
        const [tablespace] = names.filter((name) => /^\d+\.tar/.test(name));
        expect(names).toEqual(
          expect.arrayContaining([
            "backup.info",
            `data.tar${extension}`,
            `data_0001.tar${extension}`,
            expect.stringMatching(/^\d+_0001\.tar/),
          ]),
        );
        expect(tablespace?.replace(/^\d+/, "")).toBe(`.tar${extension}`);
      }
    });

    it("base list and base show know them as Barman does", async () => {
      const options = source.place.tidemark(server);
      const listed = await tidemarkJson(["base", "list", ...options], source.place);
      const shown = await tidemarkJson(["base", "show", "nightly", ...options], source.place);
      const text = await tidemark(["base", "show", ids.plain, ...options], source.place);
      const theirs = await barmanBackups(source.place, server);

      expect(listed).toMatchObject({
        repositories: [
          {
            backups: theirs.map(({ backup_id, backup_name, begin_wal, end_wal, systemid }) => ({
              id: backup_id,
              name: backup_name ?? null,
              state: "done",
              beginWal: begin_wal,
              endWal: end_wal,
              systemIdentifier: systemid,
              tablespaces: [{ name: "fast" }],
            })),
          },
        ],
      });
      expect(theirs.map(({ backup_id }) => backup_id)).toEqual([ids.gzip, ids.bzip2, ids.plain]);
      expect(shown).toMatchObject({ id: ids.gzip, name: "nightly", manifest: null });
      expect(text.stdout).toContain("another tool");
    });

    it.each<readonly [string, () => readonly string[], () => string, () => Moment["tables"]]>([
      ["the end, from the gzip backup", () => ["--backup", "nightly"], () => ids.gzip, () => end],
      [
        "the end, from the bzip2 backup",
        () => ["--backup", ids.bzip2, "--to-latest"],
        () => ids.bzip2,
        () => end,
      ],
      ["a time", () => ["--to-time", good.time], () => ids.plain, () => good.tables],
      ["an LSN", () => ["--to-lsn", afterBzip2.lsn], () => ids.bzip2, () => afterBzip2.tables],
      // Nothing says where a named point lies, so the choice is the oldest backup: it comes before every point.
      ["a restore point", () => ["--to-name", good.name], () => ids.gzip, () => good.tables],
      [
        "the restore point that Barman itself sets",
        () => ["--to-name", `barman_${ids.bzip2}`, "--backup", ids.bzip2],
        () => ids.bzip2,
        () => afterGzip.tables,
      ],
      [
        "consistency and no further",
        () => ["--to-immediate", "--backup", ids.plain],
        () => ids.plain,
        () => afterBzip2.tables,
      ],
    ])(
      "restore to %s gives the data of that moment, with the tablespace moved",
      async (_, args, id, tables) => {
        const back = await restoreWithTidemark(source.place, server, args());

        expect(back.backup).toBe(id());
        expect(back.tables).toEqual(tables());
        expect(back.tablespaces).toEqual([back.fastDirectory]);
      },
    );
  });
});
