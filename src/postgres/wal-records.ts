import { crc32c } from "../common/crc32c.ts";
import { lsn, type Lsn } from "./lsn.ts";
import type { PostgresMajor } from "./majors.ts";
import {
  isKnownRmgr,
  parseEvent,
  parseRecordHeader,
  recordHeaderBytes,
  type RecordHeader,
  type WalEvent,
} from "./wal-record.ts";
import { majorForPageMagic, parseWalPageHeader } from "./wal-page-header.ts";

/**
 * Walks the records of one WAL segment as recovery would (XLogReadRecord in xlogreader.c), to learn where valid WAL ends
 * and what happened last. Each record's CRC-32C and its link to the one before are checked; the first that does not
 * hold is the end, as it is for PostgreSQL.
 */

export interface WalSegmentEnd {
  /** Where the first record starts that starts in this segment and is valid; undefined when there is none. */
  readonly firstRecordLsn: Lsn | undefined;
  /** Where the last valid record starts. */
  readonly lastRecordLsn: Lsn | undefined;
  /** The end of valid WAL in this segment: behind its last valid record, or the segment's end when that was switched. */
  readonly endLsn: Lsn;
  /**
   * `filled`: the segment is valid to its end. `continues`: as far as it goes, but its last record goes on in the next
   * segment, which was not given or does not fit. `ends`: valid WAL ends within it.
   */
  readonly state: "filled" | "continues" | "ends";
  /** The first bytes of the segment that belong to a record begun before it: pass them on to walk the one before. */
  readonly continuation: WalContinuation | undefined;
}

/** The rest of a record that began in an earlier segment, without page headers. */
export interface WalContinuation {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** How much of the record was left at the start of the segment (`xlp_rem_len`). */
  readonly announcedBytes: number;
}

export interface WalkOptions {
  /** Where the segment starts: by its name. */
  readonly startLsn: Lsn;
  readonly segmentSizeBytes: number;
  /** What the next segment begins with, so that a record across the boundary is seen too. */
  readonly next?: WalContinuation | undefined;
  /** Called for every transaction end and restore point, in the order of the WAL. */
  readonly onEvent?: (event: WalEvent) => void;
}

const shortHeaderBytes = 24;
const longHeaderBytes = 40;
const firstIsContinuation = 0x0001;
const longHeaderFlag = 0x0002;
/** Where PostgreSQL gave up a record after a crash, the next page starts anew although the old one said more follows. */
const firstIsOverwrite = 0x0008;
/** `XLogRecordMaxSize`: 1020 MiB. */
const maxRecordBytes = 1020 * 1024 * 1024;
const rmXlog = 0;
const xlogSwitch = 0x40;

/** `segment` is one whole segment, decoded. Nothing is kept of it but the continuation's views. */
export function walkWalSegment(segment: Uint8Array, options: WalkOptions): WalSegmentEnd {
  const walk = new SegmentWalk(segment, options);
  return walk.run();
}

interface Assembled {
  readonly header: RecordHeader;
  readonly bytes: Uint8Array;
  /** Offset in the segment behind the record, not aligned; the segment's length when it went on behind it. */
  readonly end: number;
}

type Step = Assembled | "continues" | "ends";

class SegmentWalk {
  readonly #segment: Uint8Array;
  readonly #view: DataView;
  readonly #options: WalkOptions;
  readonly #pageBytes: number;
  readonly #magic: number;
  readonly #major: PostgresMajor | undefined;

  constructor(segment: Uint8Array, options: WalkOptions) {
    this.#segment = segment;
    this.#view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
    this.#options = options;
    const header = parseWalPageHeader(segment);
    this.#pageBytes = header?.blockSizeBytes ?? 8192;
    this.#magic = header?.magic ?? 0;
    this.#major = header === undefined ? undefined : majorForPageMagic(header.magic);
  }

  run(): WalSegmentEnd {
    const { startLsn } = this.#options;
    const nothing = { firstRecordLsn: undefined, lastRecordLsn: undefined, continuation: undefined };
    if (this.#major === undefined || !this.#isPage(0)) return { ...nothing, endLsn: startLsn, state: "ends" };
    const continuation = this.#readContinuation();
    const complete = continuation === undefined || continuation.bytes === continuation.announcedBytes;
    if (!complete) return { ...nothing, continuation, endLsn: startLsn, state: "continues" };
    return { ...this.#records(this.#major, this.#afterContinuation(continuation?.bytes ?? 0)), continuation };
  }

  #records(major: PostgresMajor, start: number): Omit<WalSegmentEnd, "continuation"> {
    const { startLsn, onEvent } = this.#options;
    const segmentBytes = this.#segment.length;
    let firstRecordLsn: Lsn | undefined;
    let lastRecordLsn: Lsn | undefined;
    let end = start;
    let at = this.#recordStart(start);
    const result = (state: WalSegmentEnd["state"], endOffset: number) => ({
      firstRecordLsn,
      lastRecordLsn,
      endLsn: lsn(startLsn + BigInt(endOffset)),
      state,
    });
    while (at !== undefined && at < segmentBytes) {
      const step = this.#assemble(at);
      if (step === "continues" || step === "ends") return result(step, end);
      const position = lsn(startLsn + BigInt(at));
      if (!isValid(step, lastRecordLsn, position)) return result("ends", end);
      firstRecordLsn ??= position;
      lastRecordLsn = position;
      if (step.header.rmgr === rmXlog && (step.header.info & 0xf0) === xlogSwitch) {
        return result("filled", segmentBytes);
      }
      const event = parseEvent(major, position, step.header, step.bytes);
      if (event !== undefined) onEvent?.(event);
      // A record that ends in the next segment was whole: the caller gave its rest.
      end = Math.min(align(step.end), segmentBytes);
      at = this.#recordStart(end);
    }
    return at === undefined ? result("ends", end) : result("filled", segmentBytes);
  }

  /** Whether a page header that fits its place starts at this offset. */
  #isPage(offset: number): boolean {
    const info = this.#view.getUint16(offset + 2, true);
    return (
      this.#view.getUint16(offset, true) === this.#magic &&
      (offset !== 0 || (info & longHeaderFlag) !== 0) &&
      this.#view.getBigUint64(offset + 8, true) === this.#options.startLsn + BigInt(offset)
    );
  }

  #headerBytes(pageOffset: number): number {
    const info = this.#view.getUint16(pageOffset + 2, true);
    return (info & longHeaderFlag) === 0 ? shortHeaderBytes : longHeaderBytes;
  }

  /** Where a record at or behind `offset` starts: page headers are stepped over. Undefined where the page is not valid. */
  #recordStart(offset: number): number | undefined {
    if (offset % this.#pageBytes !== 0 || offset >= this.#segment.length) return offset;
    return this.#isPage(offset) ? offset + this.#headerBytes(offset) : undefined;
  }

  #readContinuation(): WalContinuation | undefined {
    const info = this.#view.getUint16(2, true);
    const announcedBytes = this.#view.getUint32(16, true);
    if ((info & firstIsContinuation) === 0 || announcedBytes === 0) return undefined;
    const found = this.#collect(this.#headerBytes(0), announcedBytes);
    const { next } = this.#options;
    const rest = announcedBytes - found.bytes;
    if (rest === 0 || !found.atEnd || next === undefined || next.announcedBytes !== rest) {
      return { pieces: found.pieces, bytes: found.bytes, announcedBytes };
    }
    // A record longer than a segment: what follows in the next one belongs to it too.
    return {
      pieces: [...found.pieces, ...next.pieces],
      bytes: found.bytes + next.bytes,
      announcedBytes,
    };
  }

  #afterContinuation(bytes: number): number {
    const { end } = this.#collect(this.#headerBytes(0), bytes);
    return Math.min(align(end), this.#segment.length);
  }

  /** Up to `wanted` bytes from `offset` (not a page header) on, across pages that say that a record goes on in them. */
  #collect(
    offset: number,
    wanted: number,
  ): { pieces: Uint8Array[]; bytes: number; end: number; atEnd: boolean } {
    const pieces: Uint8Array[] = [];
    let at = offset;
    let left = wanted;
    for (;;) {
      const pageEnd = (Math.floor(at / this.#pageBytes) + 1) * this.#pageBytes;
      const take = Math.min(left, pageEnd - at);
      if (take > 0) pieces.push(this.#segment.subarray(at, at + take));
      at += take;
      left -= take;
      const done = (atEnd: boolean) => ({ pieces, bytes: wanted - left, end: at, atEnd });
      if (left === 0) return done(false);
      if (at >= this.#segment.length) return done(true);
      if (!this.#goesOn(at, left)) return done(false);
      at += this.#headerBytes(at);
    }
  }

  #goesOn(pageOffset: number, left: number): boolean {
    const info = this.#view.getUint16(pageOffset + 2, true);
    return (
      this.#isPage(pageOffset) &&
      (info & firstIsContinuation) !== 0 &&
      (info & firstIsOverwrite) === 0 &&
      this.#view.getUint32(pageOffset + 16, true) === left
    );
  }

  #assemble(offset: number): Step {
    // Records start at multiples of eight, so the length is never cut by a page's end.
    const totalBytes = this.#view.getUint32(offset, true);
    if (totalBytes < recordHeaderBytes || totalBytes > maxRecordBytes) return "ends";
    const found = this.#collect(offset, totalBytes);
    const pieces = found.pieces;
    if (found.bytes < totalBytes) {
      const { next } = this.#options;
      const rest = totalBytes - found.bytes;
      if (!found.atEnd) return "ends";
      if (next === undefined || next.announcedBytes !== rest || next.bytes !== rest) return "continues";
      pieces.push(...next.pieces);
    }
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    return { header: parseRecordHeader(bytes), bytes, end: found.end };
  }
}

function isValid({ header, bytes }: Assembled, previous: Lsn | undefined, position: Lsn): boolean {
  if (!isKnownRmgr(header.rmgr)) return false;
  // The record before the segment's first one lies in the segment before: at least it is earlier.
  if (previous === undefined ? header.previousLsn >= position : header.previousLsn !== previous) return false;
  // The checksum covers what follows the fixed part, then the fixed part up to the checksum (ValidXLogRecord).
  const body = crc32c(bytes.subarray(recordHeaderBytes));
  return crc32c(bytes.subarray(0, recordHeaderBytes - 4), body) === header.crc;
}

function align(offset: number): number {
  return (offset + 7) & ~7;
}
