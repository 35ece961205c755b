import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testFolder, type TestServer } from "../src/postgres/testing/test-server.ts";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { archivedByTidemark, majorsWithBarman, type ArchivedServer } from "./support/archived-server.ts";
import { barmanBackups, barmanCloud, barmanCloudOutput, barmanWalCommand } from "./support/barman-program.ts";
import { archiveAll, makeLedger, readTables, writeAndNote, type Moment } from "./support/ledger.ts";
import { barmanOnCeph, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { recoverByHand } from "./support/recovered-by-hand.ts";
import { s3Place } from "./support/s3-place.ts";
import { restoreWithTidemark } from "./support/restored-by-tidemark.ts";
import { tidemark, tidemarkJson } from "./support/programs.ts";

const skipped = await reasonToSkip(barmanOnCeph);

interface BackupOutput {
  readonly id: string;
  readonly manifest: {
    readonly pagesVerified: boolean;
    readonly parts: readonly { readonly name: string; readonly archive: string }[];
  };
}

interface ListOutput {
  readonly repositories: readonly {
    readonly backups: readonly {
      readonly id: string;
      readonly state: string;
      readonly keep: string | null;
    }[];
  }[];
}

/** One major has compressed WAL, the other plain: Barman reads both. */
const walCompression = { 15: "gzip", 18: "none" } as const;

describe.skipIf(skipped !== undefined)(`Barman's tools on what we wrote${leftOut(skipped)}`, () => {
  describe.each(majorsWithBarman)("PostgreSQL %i", (major) => {
    const server = "ours";
    let source: ArchivedServer;
    let gzip: BackupOutput;
    let plain: BackupOutput;
    let good: Moment;
    let end: Moment["tables"];

    beforeAll(async () => {
      const place = await s3Place(sharedCephGateway());
      source = await archivedByTidemark(place, { major, name: server, compression: walCompression[major] });
      await makeLedger(source.pg, await source.pg.folder.make("fast"));
      gzip = await backUp("gzip", ["--name", "nightly"]);
      await writeAndNote(source.pg, "after the first backup");
      plain = await backUp("none", []);
      good = await writeAndNote(source.pg, "before the accident");
      await source.pg.sql("DROP TABLE entries; DELETE FROM fast_2 WHERE id % 2 = 0");
      end = await readTables(source.pg);
      await archiveAll(source.pg);
    });
    afterAll(async () => source?.[Symbol.asyncDispose]());

    async function backUp(compression: string, more: readonly string[]): Promise<BackupOutput> {
      return tidemarkJson<BackupOutput>(
        [
          "base",
          "create",
          ...source.options,
          "--compression",
          compression,
          "--max-part-size",
          "2MiB",
          ...more,
        ],
        source.place,
      );
    }

    async function ourList(): Promise<ListOutput["repositories"][number]["backups"]> {
      const list = await tidemarkJson<ListOutput>(
        ["base", "list", ...source.place.tidemark(server)],
        source.place,
      );
      return list.repositories[0]?.backups ?? [];
    }

    async function keep(...options: readonly string[]): Promise<string> {
      return barmanCloudOutput(source.place, "backup-keep", server, { options, rest: [gzip.id] });
    }

    /** Unpacks with `barman-cloud-restore`, the tablespace moved, and recovers as Barman's manual says. */
    async function restored(backup: string, target: Readonly<Record<string, string>>): Promise<TestServer> {
      const folder = await testFolder();
      const dataDirectory = await folder.make("restored");
      await barmanCloudOutput(source.place, "restore", server, {
        options: ["--tablespace", `fast:${await folder.make("restored-fast")}`],
        rest: [backup, dataDirectory],
      });
      return recoverByHand({
        folder,
        dataDirectory,
        binaries: source.pg.binaries,
        settings: { restore_command: barmanWalCommand(source.place, "wal-restore", server), ...target },
        environment: source.place.environment,
      });
    }

    it("the backups to be read are in several parts, with a tablespace and verified pages", () => {
      for (const { manifest } of [gzip, plain]) {
        expect(manifest.pagesVerified).toBe(true);
        expect(manifest.parts.filter(({ archive }) => archive === "data").length).toBeGreaterThan(1);
        expect(manifest.parts.filter(({ archive }) => archive !== "data").length).toBeGreaterThan(1);
      }
      expect(gzip.manifest.parts.every(({ name }) => name.endsWith(".tar.gz"))).toBe(true);
      expect(plain.manifest.parts.every(({ name }) => name.endsWith(".tar"))).toBe(true);
    });

    it("backup-list and backup-show know them, with name, WAL and tablespace", async () => {
      const console = await barmanCloudOutput(source.place, "backup-list", server);
      const listed = await barmanBackups(source.place, server);
      const shown = await barmanCloudOutput(source.place, "backup-show", server, {
        options: ["--format", "json"],
        rest: ["nightly"],
      });

      expect(console).toMatch(new RegExp(`^${gzip.id} .* nightly\\s*$`, "m"));
      expect(console).toContain(plain.id);
      expect(listed).toMatchObject([
        { backup_id: gzip.id, backup_name: "nightly", status: "DONE", timeline: 1 },
        {
          backup_id: plain.id,
          status: "DONE",
          tablespaces: [["fast", expect.any(Number), expect.any(String)]],
        },
      ]);
      expect(JSON.parse(shown)).toMatchObject({ cloud: { backup_id: gzip.id, status: "DONE" } });
    });

    it("wal-restore gives the bytes that PostgreSQL wrote, and says absent of what is not there", async () => {
      await using folder = await testFolder();
      const directory = await folder.make("wal");
      const segment = (await barmanBackups(source.place, server))[0]?.end_wal ?? "";
      const path = join(directory, segment);
      await barmanCloudOutput(source.place, "wal-restore", server, { rest: [segment, path] });
      const absent = await barmanCloud(source.place, "wal-restore", server, {
        rest: ["00000002.history", join(directory, "history")],
      });

      const written = await readFile(join(source.pg.dataDirectory, "pg_wal", segment));
      expect((await readFile(path)).equals(written)).toBe(true);
      expect(absent.code).toBe(1);
      expect(await readdir(directory)).toEqual([segment]);
    });

    it.each([
      ["gzip", () => "nightly"],
      ["uncompressed", () => plain.id],
    ])("restore of the %s backup, and wal-restore to the end, give the same data", async (_name, backup) => {
      await using copy = await restored(backup(), {});

      expect(await readTables(copy)).toEqual(end);
      expect(await copy.sql("SHOW data_checksums")).toEqual([{ data_checksums: "on" }]);
    });

    it.each([
      ["gzip", () => gzip.id],
      ["uncompressed", () => plain.id],
    ])("restore of the %s backup to a point in time gives the data of that moment", async (_name, backup) => {
      await using copy = await restored(backup(), { recovery_target_time: good.time });

      expect(await readTables(copy)).toEqual(good.tables);
      const [space] = await copy.sql<{ location: string }>(
        "SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE spcname = 'fast'",
      );
      expect(space?.location).toBe(join(copy.folder.path, "restored-fast"));
    });

    it("both programs see each other's keep marks", async () => {
      await keep("--target", "standalone");
      const marked = (await ourList()).find(({ id }) => id === gzip.id);
      const refused = await tidemark(
        ["base", "delete", gzip.id, "--yes", ...source.place.tidemark(server)],
        source.place,
      );
      const ours = ["base", "keep", gzip.id, ...source.place.tidemark(server)];
      await tidemarkJson([...ours, "--target", "full"], source.place);
      const status = await keep("--status");
      const refusal = await barmanCloud(source.place, "backup-delete", server, {
        options: ["--backup-id", gzip.id],
      });
      await tidemarkJson([...ours, "--release"], source.place);

      expect(marked?.keep).toBe("standalone");
      expect(refused).toMatchObject({ code: 43 });
      expect(status.trim()).toBe("Keep: full");
      expect(refusal.code).toBe(1);
      expect((await keep("--status")).trim()).toBe("Keep: nokeep");
    });

    it("check-wal-archive refuses our archive to a new server, and lets it have another name", async () => {
      const ours = await barmanCloud(source.place, "check-wal-archive", server);
      const free = await barmanCloud(source.place, "check-wal-archive", "another");

      expect(ours).toMatchObject({ code: 1, stderr: expect.stringContaining("Expected empty archive") });
      expect(free.code).toBe(0);
    });

    it("of a zstd backup, which they cannot read, they fail loudly: nothing restored, nothing deleted", async () => {
      const zstd = await backUp("zstd", []);
      await using folder = await testFolder();
      const dataDirectory = await folder.make("restored");
      const attempt = await barmanCloud(source.place, "restore", server, { rest: [zstd.id, dataDirectory] });
      const removal = await barmanCloud(source.place, "backup-delete", server, {
        options: ["--backup-id", zstd.id],
      });
      const after = await ourList();
      await tidemarkJson(
        ["base", "delete", zstd.id, "--yes", ...source.place.tidemark(server)],
        source.place,
      );

      expect(attempt).toMatchObject({ code: 1, stderr: expect.stringContaining("Missing file") });
      expect(await readdir(dataDirectory)).toEqual([]);
      expect(removal.code).not.toBe(0);
      expect(after.find(({ id }) => id === zstd.id)?.state).toBe("done");
      expect((await barmanBackups(source.place, server)).map(({ backup_id }) => backup_id)).toEqual([
        gzip.id,
        plain.id,
      ]);
    });

    it("backup-delete of the oldest leaves what we call consistent: the next is whole, leftovers are ours to collect", async () => {
      await barmanCloudOutput(source.place, "backup-delete", server, { options: ["--backup-id", gzip.id] });
      const after = await ourList();
      await tidemarkJson(
        ["base", "delete", "--incomplete", "--yes", ...source.place.tidemark(server)],
        source.place,
      );

      expect(after.filter(({ state }) => state === "done").map(({ id }) => id)).toEqual([plain.id]);
      expect((await ourList()).map(({ id, state }) => ({ id, state }))).toEqual([
        { id: plain.id, state: "done" },
      ]);
      expect((await barmanBackups(source.place, server)).map(({ backup_id }) => backup_id)).toEqual([
        plain.id,
      ]);
      const back = await restoreWithTidemark(source.place, server, ["--to-latest"]);
      expect(back.backup).toBe(plain.id);
      expect(back.tables).toMatchObject(end);
    });
  });
});
