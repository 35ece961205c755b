import { EngineError } from "../common/errors.ts";
import { formatLsn, lsn, type Lsn } from "./lsn.ts";
import { findMajor, type PostgresMajor } from "./majors.ts";
import { formatSystemIdentifier, type SystemIdentifier } from "./system-identifier.ts";
import {
  isValidForSegmentSize,
  isWalSegmentSize,
  segmentStartLsn,
  timelineOfSegment,
  type WalSegmentName,
} from "./wal-file-name.ts";

/** How many bytes of a segment `parseWalPageHeader` and `checkSegmentHeader` look at (`SizeOfXLogLongPHD`). */
export const walLongHeaderBytes = 40;

/** The header of a segment's first page (`XLogLongPageHeaderData`, xlog_internal.h); little-endian machines only. */
export interface WalPageHeader {
  readonly magic: number;
  /** Flag bits `XLP_*`. */
  readonly info: number;
  /** The timeline that was written when this page was: see `checkSegmentHeader`. */
  readonly timeline: number;
  readonly pageAddress: Lsn;
  /** How many bytes of a record from the page before are left. */
  readonly remainingBytes: number;
  readonly systemIdentifier: bigint;
  readonly segmentSizeBytes: number;
  readonly blockSizeBytes: number;
}

const longHeaderFlag = 0x0002;

/** Reads the header; undefined when `bytes` is too short or does not start with a long header of a known major. */
export function parseWalPageHeader(bytes: Uint8Array): WalPageHeader | undefined {
  if (bytes.length < walLongHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint16(0, true);
  const info = view.getUint16(2, true);
  if (majorForPageMagic(magic) === undefined || (info & longHeaderFlag) === 0) return undefined;
  return {
    magic,
    info,
    timeline: view.getUint32(4, true),
    pageAddress: lsn(view.getBigUint64(8, true)),
    remainingBytes: view.getUint32(16, true),
    systemIdentifier: view.getBigUint64(24, true),
    segmentSizeBytes: view.getUint32(32, true),
    blockSizeBytes: view.getUint32(36, true),
  };
}

/** The major version that writes WAL pages with this magic number; undefined when it is none that we handle. */
export function majorForPageMagic(magic: number): PostgresMajor | undefined {
  return findMajor((facts) => facts.walPageMagic === magic);
}

export interface ExpectedSegment {
  readonly name: WalSegmentName;
  /** The cluster it must come from; any when left out. */
  readonly systemIdentifier?: SystemIdentifier;
  /** The size of the whole file. */
  readonly fileSizeBytes: number;
}

/**
 * Checks that a file is the segment its name says, whole, of the cluster we expect, by its first 40 bytes. Throws
 * `wal-refused` otherwise.
 *
 * The timeline in the header may be lower than the name's: the first segment of a new timeline starts as a copy of the
 * parent's segment up to the switch position (`XLogFileCopy` in xlog.c), headers included. It is never higher.
 */
export function checkSegmentHeader(bytes: Uint8Array, expected: ExpectedSegment): void {
  const { name } = expected;
  const header = parseWalPageHeader(bytes);
  if (header === undefined) throw refused(name, describeForeignBytes(bytes));

  const wanted = expected.systemIdentifier;
  if (wanted !== undefined && header.systemIdentifier !== wanted) {
    throw refused(
      name,
      `it was written by system ${header.systemIdentifier}, but this is ${formatSystemIdentifier(wanted)}`,
      "Two clusters share this archive or this pg_wal. Give each cluster its own server name.",
    );
  }
  const { segmentSizeBytes } = header;
  if (!isWalSegmentSize(segmentSizeBytes)) {
    throw refused(name, `its header gives a segment size of ${segmentSizeBytes} bytes, which cannot be`);
  }
  if (expected.fileSizeBytes !== segmentSizeBytes) {
    throw refused(
      name,
      `it has ${expected.fileSizeBytes} bytes, but its header says ${segmentSizeBytes}`,
      "The file is not whole: it may still be being copied, or a copy was cut short.",
    );
  }
  if (!isValidForSegmentSize(name, segmentSizeBytes)) {
    throw refused(name, `no segment of ${segmentSizeBytes} bytes has this name`);
  }
  const address = segmentStartLsn(name, segmentSizeBytes);
  if (header.pageAddress !== address) {
    throw refused(
      name,
      `its first page is for ${formatLsn(header.pageAddress)}, but its name says ${formatLsn(address)}`,
      "The file was renamed, or PostgreSQL recycled it and has not yet written to it.",
    );
  }
  const timeline = timelineOfSegment(name);
  if (header.timeline === 0 || header.timeline > timeline) {
    throw refused(name, `its first page is of timeline ${header.timeline}, but its name says ${timeline}`);
  }
}

function describeForeignBytes(bytes: Uint8Array): string {
  if (bytes.length < walLongHeaderBytes) return `it has only ${bytes.length} bytes`;
  if (bytes.every((byte) => byte === 0)) return "its first page is all zeros";
  const magic = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  const text = magic.toString(16).toUpperCase().padStart(4, "0");
  if (majorForPageMagic(magic) !== undefined) return "its first page does not have the header of a segment";
  return `it does not start as WAL of a supported version does (page magic ${text})`;
}

function refused(name: WalSegmentName, reason: string, hint?: string): EngineError {
  return new EngineError("wal-refused", `refused WAL segment "${name}": ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { segment: name },
  });
}
