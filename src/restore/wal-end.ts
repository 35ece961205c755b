import { checkSegmentHeader } from "../postgres/wal-page-header.ts";
import { segmentStartLsn, type WalSegmentName } from "../postgres/wal-file-name.ts";
import { assert } from "../common/errors.ts";
import { lsn, type Lsn } from "../postgres/lsn.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { TransactionRecord } from "../postgres/wal-record.ts";
import { walkWalSegment, type WalContinuation, type WalSegmentEnd } from "../postgres/wal-records.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import type { WalReader } from "../repository/wal-reader.ts";

/** What the last segments of an unbroken run of WAL say about its end. */
export interface WalEnd {
  /** Behind the last valid record; PostgreSQL's replay can get this far and no further. */
  readonly endLsn: Lsn;
  /** Where the last valid record starts; undefined when none of the segments looked at has one. */
  readonly lastRecordLsn: Lsn | undefined;
  /** The transaction end with the highest time among those found; undefined when there is none in the segments read. */
  readonly newest: TransactionRecord | undefined;
  /** Segments read, from the last one back. */
  readonly segmentsRead: number;
  /** True when every segment of the run was read. */
  readonly readAll: boolean;
}

export interface WalEndRequest {
  /** Unbroken, in order, at least one. */
  readonly segments: readonly WalObject[];
  readonly segmentSizeBytes: number;
  /** Checked against the segments' headers where known. */
  readonly systemIdentifier: SystemIdentifier | undefined;
  /** Read back until a transaction end is found, not only a record. */
  readonly findTransaction: boolean;
  /** At most so many segments are read. */
  readonly maxSegments: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the last segments of a run backwards, one in memory at a time, until one holds what is asked for. Throws
 * `wal-refused` for a segment of another system, `object-corrupt` for one that cannot be decoded.
 */
export async function findWalEnd(readWal: WalReader, request: WalEndRequest): Promise<WalEnd> {
  const { segments, maxSegments } = request;
  let end: { readonly endLsn: Lsn; readonly lastRecordLsn: Lsn | undefined } | undefined;
  let newest: TransactionRecord | undefined;
  let next: WalContinuation | undefined;
  let segmentsRead = 0;
  for (const object of segments.slice(-maxSegments).toReversed()) {
    const bytes = await readSegment(readWal, object, request);
    let newestHere: TransactionRecord | undefined;
    const walked = walk(object, bytes, { ...request, next }, (event) => {
      if (newestHere === undefined || event.timeMicros > newestHere.timeMicros) newestHere = event;
    });
    segmentsRead++;
    next = walked.continuation;
    // A segment that ends early cuts off whatever was seen behind it.
    if (end === undefined || end.lastRecordLsn === undefined || walked.state === "ends") {
      end = { endLsn: walked.endLsn, lastRecordLsn: walked.lastRecordLsn };
      newest = newestHere;
    } else {
      newest ??= newestHere;
    }
    const found = request.findTransaction ? newest !== undefined : true;
    if (end.lastRecordLsn !== undefined && found) break;
  }
  return {
    endLsn: end?.endLsn ?? lsn(0n),
    lastRecordLsn: end?.lastRecordLsn,
    newest,
    segmentsRead,
    readAll: segmentsRead === segments.length,
  };
}

/**
 * The time of the newest transaction that ended before a position on the path, in microseconds since 1970; undefined when
 * none did in the last `maxSegments` segments up to there. Throws as `findWalEnd`.
 */
export async function newestTimeBefore(
  readWal: WalReader,
  position: Lsn,
  request: Omit<WalEndRequest, "findTransaction">,
): Promise<bigint | undefined> {
  const { segments, segmentSizeBytes, maxSegments } = request;
  const before = segments.filter(
    ({ file }) => file.kind === "segment" && segmentStartLsn(file.segment, segmentSizeBytes) < position,
  );
  for (const object of before.slice(-maxSegments).toReversed()) {
    const bytes = await readSegment(readWal, object, request);
    let newest: bigint | undefined;
    walk(object, bytes, { ...request, findTransaction: true, next: undefined }, (event) => {
      if (event.lsn < position && (newest === undefined || event.timeMicros > newest)) {
        newest = event.timeMicros;
      }
    });
    if (newest !== undefined) return newest;
  }
  return undefined;
}

/** One whose header is not that of its name is as good as a damaged one: another repository may have the right one. */
async function readSegment(
  readWal: WalReader,
  object: WalObject,
  request: Pick<WalEndRequest, "segmentSizeBytes" | "systemIdentifier" | "signal">,
): Promise<Buffer> {
  const { segmentSizeBytes, systemIdentifier, signal } = request;
  const check = (bytes: Buffer): void =>
    checkSegmentHeader(bytes, {
      name: segmentOf(object),
      fileSizeBytes: bytes.length,
      ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
    });
  return readWal(object, { maxBytes: segmentSizeBytes, check, signal });
}

function segmentOf({ file }: WalObject): WalSegmentName {
  assert(file.kind === "segment", `"${file.name}" is no segment`);
  return file.segment;
}

function walk(
  object: WalObject,
  bytes: Buffer,
  request: WalEndRequest & { readonly next: WalContinuation | undefined },
  onTransaction: (event: TransactionRecord) => void,
): WalSegmentEnd {
  const { segmentSizeBytes, next } = request;
  return walkWalSegment(bytes, {
    startLsn: segmentStartLsn(segmentOf(object), segmentSizeBytes),
    segmentSizeBytes,
    next,
    onEvent: (event) => {
      if (event.kind === "transaction") onTransaction(event);
    },
  });
}
