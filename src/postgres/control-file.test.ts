import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseControlFile } from "./control-file.ts";
import { crc32c } from "../common/crc32c.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { supportedMajors } from "./majors.ts";
import { readFixture, readFixtureFacts } from "./testing/fixtures.ts";

const textOf = (position: Lsn | undefined) => (position === undefined ? "0/0" : formatLsn(position));

describe.each(supportedMajors)("the control file of PostgreSQL %i", (major) => {
  test.each(["pg_control", "pg_control.standby"] as const)("says what the server says: %s", async (name) => {
    const facts = (await readFixtureFacts(major))[name];

    const control = parseControlFile(await readFixture(major, name));

    expect(control.pgMajor).toBe(major);
    expect({
      pg_control_version: control.controlVersion,
      catalog_version_no: control.catalogVersion,
      system_identifier: control.systemIdentifier.toString(),
      pg_control_last_modified: `${control.modifiedAt.toISOString().slice(0, 19)}+00:00`,
    }).toEqual(facts.system);
    expect(facts.checkpoint).toMatchObject({
      checkpoint_lsn: formatLsn(control.checkpointLsn),
      redo_lsn: formatLsn(control.redoLsn),
      timeline_id: control.timeline,
      prev_timeline_id: control.previousTimeline,
      checkpoint_time: `${control.checkpointTime.toISOString().slice(0, 19)}+00:00`,
    });
    expect(facts.init).toMatchObject({
      database_block_size: control.blockSizeBytes,
      blocks_per_segment: control.blocksPerFile,
      wal_block_size: control.walBlockSizeBytes,
      bytes_per_wal_segment: control.walSegmentSizeBytes,
      data_page_checksum_version: control.dataChecksumVersion,
    });
    expect({
      min_recovery_end_lsn: textOf(control.minRecoveryPoint),
      min_recovery_end_timeline: control.minRecoveryTimeline ?? 0,
      backup_start_lsn: textOf(control.backupStartPoint),
      backup_end_lsn: textOf(control.backupEndPoint),
      end_of_backup_record_required: control.backupEndRequired,
    }).toEqual(facts.recovery);
  });

  test("holds the settings that a replaying server must not undercut", async () => {
    expect(parseControlFile(await readFixture(major, "pg_control")).settings).toEqual({
      walLevel: "logical",
      walLogHints: true,
      maxConnections: 41,
      maxWorkerProcesses: 9,
      maxWalSenders: 7,
      maxPreparedTransactions: 3,
      maxLocksPerTransaction: 65,
      trackCommitTimestamp: true,
    });
  });

  test("names the state of the cluster", async () => {
    const states = await Promise.all(
      ["pg_control", "pg_control.standby", "pg_control.shut-down"].map(
        async (name) => parseControlFile(await readFixture(major, name)).state,
      ),
    );

    expect(states).toEqual(["in production", "in archive recovery", "shut down"]);
  });

  test("names the backup that is being replayed", async () => {
    const control = parseControlFile(await readFixture(major, "pg_control.backup-replay"));
    const { backupStartLsn } = await readFixtureFacts(major);

    expect({ ...control, backupStartPoint: textOf(control.backupStartPoint) }).toMatchObject({
      state: "in archive recovery",
      backupStartPoint: backupStartLsn,
      backupEndPoint: undefined,
      backupEndRequired: true,
    });
  });

  test("is refused after any change of a byte that it protects", async () => {
    const bytes = await readFixture(major, "pg_control");
    const protectedBytes = major === 18 ? 296 : 292;
    fc.assert(
      fc.property(fc.nat(protectedBytes - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;

        expect(() => parseControlFile(damaged)).toThrow('control file "pg_control" is invalid');
      }),
    );
  });
});

/** A copy with other words at some offsets and the checksum put right again. */
async function changedControlFile(words: Readonly<Record<number, number>>): Promise<Buffer> {
  const bytes = await readFixture(16, "pg_control");
  for (const [offset, word] of Object.entries(words)) bytes.writeUInt32LE(word, Number(offset));
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return bytes;
}

test.each([
  [{ 8: 1200 }, "its version is 1200"],
  [{ 8: 0 }, "its version is 0"],
  [{ 8: 0x0514_0000 }, "it was written on a machine of the other byte order"],
  [{ 12: 202406071 }, "its catalog version is 202406071, which no release of PostgreSQL 13 to 18 has"],
  [{ 16: 7 }, "its state is 7"],
  [{ 172: 3 }, "its WAL level is 3"],
])("a control file with %j is refused with the reason", async (words, reason) => {
  const bytes = await changedControlFile(words);

  expect(() => parseControlFile(bytes, "global/pg_control")).toThrow(
    `control file "global/pg_control" is invalid: ${reason}`,
  );
});

test("a control file of another size is refused", async () => {
  const bytes = await readFixture(16, "pg_control");

  expect(() => parseControlFile(bytes.subarray(0, 512))).toThrow("it has 512 bytes, but must have 8192");
  expect(() => parseControlFile(Buffer.concat([bytes, bytes]))).toThrow("it has 16384 bytes");
});

test("a control file with a wrong checksum is refused with both values", async () => {
  const bytes = await changedControlFile({});
  bytes.writeUInt32LE(0xab, 288);
  const right = crc32c(bytes.subarray(0, 288)).toString(16).toUpperCase().padStart(8, "0");

  expect(() => parseControlFile(bytes)).toThrow(`its checksum is ${right}, but it says 000000AB`);
});
