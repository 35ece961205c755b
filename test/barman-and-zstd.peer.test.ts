import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { testFolder } from "../src/postgres/testing/test-server.ts";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { archivedByTidemark } from "./support/archived-server.ts";
import { barmanBackups, barmanCloud, barmanCloudOutput, barmanWalCommand } from "./support/barman-program.ts";
import { makeLedger } from "./support/ledger.ts";
import { barmanOnCeph, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { recoverByHand } from "./support/recovered-by-hand.ts";
import { s3Place } from "./support/s3-place.ts";
import { tidemarkJson } from "./support/programs.ts";

const skipped = await reasonToSkip(barmanOnCeph);

it.skipIf(skipped !== undefined)(
  `a backup that Barman restores, with WAL in zstd that it cannot read, never opens${leftOut(skipped)}`,
  async () => {
    const server = "main";
    const place = await s3Place(sharedCephGateway());
    await using source = await archivedByTidemark(place, { major: 15, name: server, compression: "zstd" });
    await makeLedger(source.pg);
    await tidemarkJson(["base", "create", ...source.options, "--compression", "gzip"], place);
    const [backup] = await barmanBackups(place, server);
    await using folder = await testFolder();
    const wal = await folder.make("wal");
    const dataDirectory = await folder.make("restored");

    const segment = backup?.begin_wal ?? "";
    const fetched = await barmanCloud(place, "wal-restore", server, { rest: [segment, join(wal, segment)] });
    await barmanCloudOutput(place, "restore", server, { rest: [backup?.backup_id ?? "", dataDirectory] });
    const recovery = recoverByHand({
      folder,
      dataDirectory,
      binaries: source.pg.binaries,
      settings: { restore_command: barmanWalCommand(place, "wal-restore", server) },
      environment: place.environment,
    });

    // "Absent", for Barman 3.4. PostgreSQL is what refuses then: the backup's own WAL is not there.
    expect(fetched.code).toBe(1);
    expect(await readdir(wal)).toEqual([]);
    await expect(recovery).rejects.toThrow(/could not locate required checkpoint record/);
  },
);
