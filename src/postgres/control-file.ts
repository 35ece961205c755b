import { EngineError } from "../common/errors.ts";
import { crc32c } from "../common/crc32c.ts";
import { lsn, type Lsn } from "./lsn.ts";
import { findMajor, type PostgresMajor } from "./majors.ts";
import { systemIdentifier, type SystemIdentifier } from "./system-identifier.ts";
import { timelineId, type TimelineId } from "./timeline.ts";

/** The size of `global/pg_control` (`PG_CONTROL_FILE_SIZE`); what follows the data is zeros. */
export const controlFileBytes = 8192;

/** The states in the words of `pg_controldata`, in the order of `DBState`. */
export const databaseStates = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
] as const;
export type DatabaseState = (typeof databaseStates)[number];

const walLevels = ["minimal", "replica", "logical"] as const;
export type WalLevel = (typeof walLevels)[number];

/** `global/pg_control`: what PostgreSQL must know before it can read anything else (pg_control.h). */
export interface ControlFile {
  readonly pgMajor: PostgresMajor;
  readonly systemIdentifier: SystemIdentifier;
  readonly controlVersion: number;
  readonly catalogVersion: number;
  readonly state: DatabaseState;
  /** When the file was last written. */
  readonly modifiedAt: Date;
  /** Where the last checkpoint record is, where replay from it starts, on which timeline. */
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly timeline: TimelineId;
  readonly previousTimeline: TimelineId;
  readonly checkpointTime: Date;
  /** How far a server in archive recovery must replay before it is consistent; undefined outside recovery. */
  readonly minRecoveryPoint: Lsn | undefined;
  readonly minRecoveryTimeline: TimelineId | undefined;
  /** Where the backup started that is being replayed; undefined once its end was reached. */
  readonly backupStartPoint: Lsn | undefined;
  readonly backupEndPoint: Lsn | undefined;
  readonly backupEndRequired: boolean;
  /** The settings in force when the file was written: a server replaying this cluster's WAL may not have lower ones. */
  readonly settings: ControlFileSettings;
  readonly walSegmentSizeBytes: number;
  readonly walBlockSizeBytes: number;
  /** The page size (`BLCKSZ`) and how many pages a file of a relation holds (`RELSEG_SIZE`). */
  readonly blockSizeBytes: number;
  readonly blocksPerFile: number;
  /** 0 when data checksums are off. */
  readonly dataChecksumVersion: number;
}

export interface ControlFileSettings {
  readonly walLevel: WalLevel;
  readonly walLogHints: boolean;
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
  readonly trackCommitTimestamp: boolean;
}

/*
 * Where the CRC lies. Up to it the layout of ControlFileData on 64-bit machines is the same in 13 to 18: 18 put
 * default_char_signedness before the nonce (which moved the CRC); 17 put wal_level into padding of the checkpoint copy.
 */
const crcOffsets: Readonly<Record<number, number>> = { 1300: 288, 1700: 288, 1800: 292 };

/**
 * Reads and verifies the control file of PostgreSQL 13 to 18. `path` only names it in errors. Throws `postgres-format`
 * for a wrong size, an unknown version, a machine of other byte order, or a checksum that does not match.
 */
export function parseControlFile(bytes: Uint8Array, path = "pg_control"): ControlFile {
  const invalid = (reason: string, hint?: string) =>
    new EngineError(
      "postgres-format",
      `control file "${path}" is invalid: ${reason}`,
      hint === undefined ? {} : { hint },
    );
  if (bytes.length !== controlFileBytes) {
    throw invalid(`it has ${bytes.length} bytes, but must have ${controlFileBytes}`);
  }

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (offset: number) => view.getUint32(offset, true);
  const controlVersion = u32(8);
  const crcOffset = crcOffsets[controlVersion];
  if (crcOffset === undefined) {
    // As in PostgreSQL (ReadControlFile): a small number whose halves are swapped comes from the other byte order.
    if (controlVersion % 65_536 === 0 && controlVersion !== 0) {
      throw invalid("it was written on a machine of the other byte order");
    }
    throw invalid(`its version is ${controlVersion}`, "Tidemark reads PostgreSQL 13 to 18.");
  }
  const expected = u32(crcOffset);
  const found = crc32c(bytes.subarray(0, crcOffset));
  if (found !== expected) {
    throw invalid(
      `its checksum is ${hex(found)}, but it says ${hex(expected)}`,
      "The file is damaged, or was read while the server was writing it: read it again.",
    );
  }
  const catalogVersion = u32(12);
  const pgMajor = findMajor(
    (facts) => facts.controlVersion === controlVersion && facts.catalogVersion === catalogVersion,
  );
  if (pgMajor === undefined) {
    throw invalid(
      `its catalog version is ${catalogVersion}, which no release of PostgreSQL 13 to 18 has`,
      "Tidemark reads PostgreSQL 13 to 18, not development versions.",
    );
  }
  const state = databaseStates[u32(16)];
  const walLevel = walLevels[u32(172)];
  if (state === undefined) throw invalid(`its state is ${u32(16)}`);
  if (walLevel === undefined) throw invalid(`its WAL level is ${u32(172)}`);

  const position = (offset: number) => lsn(view.getBigUint64(offset, true));
  const optionalPosition = (offset: number) => position(offset) || undefined;
  const time = (offset: number) => new Date(Number(view.getBigInt64(offset, true)) * 1000);
  const flag = (offset: number) => view.getUint8(offset) !== 0;
  return {
    pgMajor,
    systemIdentifier: systemIdentifier(view.getBigUint64(0, true)),
    controlVersion,
    catalogVersion,
    state,
    modifiedAt: time(24),
    checkpointLsn: position(32),
    redoLsn: position(40),
    timeline: timelineId(u32(48)),
    previousTimeline: timelineId(u32(52)),
    checkpointTime: time(104),
    minRecoveryPoint: optionalPosition(136),
    minRecoveryTimeline: u32(144) === 0 ? undefined : timelineId(u32(144)),
    backupStartPoint: optionalPosition(152),
    backupEndPoint: optionalPosition(160),
    backupEndRequired: flag(168),
    settings: {
      walLevel,
      walLogHints: flag(176),
      maxConnections: u32(180),
      maxWorkerProcesses: u32(184),
      maxWalSenders: u32(188),
      maxPreparedTransactions: u32(192),
      maxLocksPerTransaction: u32(196),
      trackCommitTimestamp: flag(200),
    },
    blockSizeBytes: u32(216),
    blocksPerFile: u32(220),
    walBlockSizeBytes: u32(224),
    walSegmentSizeBytes: u32(228),
    dataChecksumVersion: u32(252),
  };
}

function hex(crc: number): string {
  return crc.toString(16).toUpperCase().padStart(8, "0");
}
