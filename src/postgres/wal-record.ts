import type { Lsn } from "./lsn.ts";
import type { PostgresMajor } from "./majors.ts";

/*
 * What one WAL record says, as far as recovery targets need it: transactions that ended, and restore points. Ported from
 * DecodeXLogRecord (xlogreader.c), ParseCommitRecord and ParseAbortRecord (xactdesc.c) of PostgreSQL 13 to 18.
 */

/** The end of a transaction. PostgreSQL stops at a target time or transaction at these records, and at no others. */
export interface TransactionRecord {
  readonly kind: "transaction";
  /** Where the record starts. */
  readonly lsn: Lsn;
  readonly outcome: "commit" | "abort";
  /** Whether it ends a prepared transaction. */
  readonly prepared: boolean;
  /** 32 bits. */
  readonly xid: number;
  /** Microseconds since 1970, UTC, as the server's clock had it. */
  readonly timeMicros: bigint;
}

/** A named point, made by `pg_create_restore_point`. */
export interface RestorePointRecord {
  readonly kind: "restore-point";
  readonly lsn: Lsn;
  readonly name: string;
  readonly timeMicros: bigint;
}

export type WalEvent = TransactionRecord | RestorePointRecord;

/** `SizeOfXLogRecord`: total length, transaction, previous record, info, resource manager, CRC. */
export const recordHeaderBytes = 24;

/** The last resource manager of PostgreSQL itself (`RM_MAX_BUILTIN_ID`), and the range of extensions' (15 and later). */
const lastBuiltinRmgr = 22;
const firstCustomRmgr = 128;

/** The fixed part of a record. */
export interface RecordHeader {
  readonly totalBytes: number;
  readonly xid: number;
  readonly previousLsn: bigint;
  readonly info: number;
  readonly rmgr: number;
  readonly crc: number;
}

export function parseRecordHeader(bytes: Uint8Array): RecordHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, recordHeaderBytes);
  return {
    totalBytes: view.getUint32(0, true),
    xid: view.getUint32(4, true),
    previousLsn: view.getBigUint64(8, true),
    info: view.getUint8(16),
    rmgr: view.getUint8(17),
    crc: view.getUint32(20, true),
  };
}

export function isKnownRmgr(rmgr: number): boolean {
  return rmgr <= lastBuiltinRmgr || rmgr >= firstCustomRmgr;
}

const rmXlog = 0;
const rmXact = 1;
const xlogRestorePoint = 0x70;

/** The event that a whole, verified record stands for; undefined for all others, which are most. */
export function parseEvent(
  major: PostgresMajor,
  position: Lsn,
  header: RecordHeader,
  record: Uint8Array,
): WalEvent | undefined {
  if (header.rmgr === rmXact) return parseTransaction(major, position, header, record);
  if (header.rmgr === rmXlog && (header.info & 0xf0) === xlogRestorePoint) {
    return parseRestorePoint(major, position, record);
  }
  return undefined;
}

/** `XLOG_XACT_*` under `XLOG_XACT_OPMASK`. */
const endings: Readonly<Record<number, Pick<TransactionRecord, "outcome" | "prepared">>> = {
  0x00: { outcome: "commit", prepared: false },
  0x20: { outcome: "abort", prepared: false },
  0x30: { outcome: "commit", prepared: true },
  0x40: { outcome: "abort", prepared: true },
};
const hasInfo = 0x80;

function parseTransaction(
  major: PostgresMajor,
  position: Lsn,
  header: RecordHeader,
  record: Uint8Array,
): TransactionRecord | undefined {
  const ending = endings[header.info & 0x70];
  const data = mainData(major, record);
  if (ending === undefined || data === undefined || data.byteLength < 8) return undefined;
  // The record of a prepared transaction is written by whoever finishes it; its own ID lies inside.
  const inner = ending.prepared && (header.info & hasInfo) !== 0 ? preparedXid(data, major) : undefined;
  return {
    kind: "transaction",
    lsn: position,
    ...ending,
    xid: inner ?? header.xid,
    timeMicros: timestampMicros(data, 0),
  };
}

const hasDatabase = 1 << 0;
const hasTwoPhase = 1 << 4;

/** The transaction of a record's "two-phase" part, which lies behind the other optional parts. */
function preparedXid(data: DataView, major: PostgresMajor): number | undefined {
  if (data.byteLength < 12) return undefined;
  const flags = data.getUint32(8, true);
  if ((flags & hasTwoPhase) === 0) return undefined;
  let at = 12;
  if (flags & hasDatabase) at += 8;
  for (const { flag, itemBytes } of optionalParts(major)) {
    if ((flags & flag) === 0) continue;
    if (at + 4 > data.byteLength) return undefined;
    at += 4 + data.getUint32(at, true) * itemBytes;
  }
  return at + 4 <= data.byteLength ? data.getUint32(at, true) : undefined;
}

/** The arrays of a commit or abort record, in their order: each is a count and its items. */
const optionalParts = (
  major: PostgresMajor,
): readonly { readonly flag: number; readonly itemBytes: number }[] => [
  // Subtransactions; relations to drop; statistics to drop (15 and later); cache invalidations.
  { flag: 1 << 1, itemBytes: 4 },
  { flag: 1 << 2, itemBytes: 12 },
  { flag: 1 << 8, itemBytes: major >= 18 ? 16 : 12 },
  { flag: 1 << 3, itemBytes: 16 },
];

/** `xl_restore_point`: a time, and a name of `MAXFNAMELEN` bytes that ends with a NUL. */
function parseRestorePoint(
  major: PostgresMajor,
  position: Lsn,
  record: Uint8Array,
): RestorePointRecord | undefined {
  const data = mainData(major, record);
  if (data === undefined || data.byteLength < 72) return undefined;
  const name = Buffer.from(data.buffer, data.byteOffset + 8, 64);
  const end = name.indexOf(0);
  return {
    kind: "restore-point",
    lsn: position,
    name: name.toString("utf8", 0, end === -1 ? 64 : end),
    timeMicros: timestampMicros(data, 0),
  };
}

/** PostgreSQL counts microseconds from 2000 (`TimestampTz`). */
const microsUntil2000 = 946_684_800_000_000n;

function timestampMicros(data: DataView, offset: number): bigint {
  return data.getBigInt64(offset, true) + microsUntil2000;
}

const shortData = 255;
const longData = 254;
const originHeader = 253;
const topLevelXid = 252;
const maxBlockId = 32;

/**
 * The main data of a record: its last bytes, whose length stands at the end of the headers that follow the fixed part.
 * Undefined when the headers are not as they should be.
 */
function mainData(major: PostgresMajor, record: Uint8Array): DataView | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  try {
    let at = recordHeaderBytes;
    for (;;) {
      const id = view.getUint8(at);
      if (id === shortData || id === longData) {
        const length = id === shortData ? view.getUint8(at + 1) : view.getUint32(at + 1, true);
        const start = record.byteLength - length;
        const headersEnd = at + (id === shortData ? 2 : 5);
        if (start < headersEnd) return undefined;
        return new DataView(record.buffer, record.byteOffset + start, length);
      }
      if (id === originHeader) at += 3;
      else if (id === topLevelXid) at += 5;
      else if (id <= maxBlockId) at = blockHeaderEnd(major, view, at);
      else return undefined;
    }
  } catch (error) {
    // A DataView throws RangeError behind its end: the record has no main data.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const hasImage = 0x10;
const sameRelation = 0x80;
const imageHasHole = 0x01;
/** `BKPIMAGE_IS_COMPRESSED`; from 15 on one bit for each method (`BKPIMAGE_COMPRESSED`). */
const imageCompressed = (major: PostgresMajor): number => (major >= 15 ? 0x1c : 0x02);

function blockHeaderEnd(major: PostgresMajor, view: DataView, start: number): number {
  const forkFlags = view.getUint8(start + 1);
  let at = start + 4;
  if (forkFlags & hasImage) {
    const imageInfo = view.getUint8(at + 4);
    at += 5;
    if (imageInfo & imageHasHole && imageInfo & imageCompressed(major)) at += 2;
  }
  if ((forkFlags & sameRelation) === 0) at += 12;
  return at + 4;
}
