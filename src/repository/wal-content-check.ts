import { crc32 } from "node:zlib";
import { EngineError } from "../common/errors.ts";
import { gib, kib } from "../common/units.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { walLongHeaderBytes } from "../postgres/wal-page-header.ts";
import { segmentStartLsn, type WalFileName } from "../postgres/wal-file-name.ts";
import { formatCrc32, type WalSum } from "./wal-sum.ts";
import { checkWalHead, checkWalText, textFileLimitBytes } from "./wal-file-check.ts";

/** What a fetched WAL file is held against. */
export interface ContentExpectation {
  readonly file: WalFileName;
  readonly walSegmentSizeBytes?: number;
  readonly systemIdentifier?: SystemIdentifier;
  /** For content without a checksum of its own. */
  readonly sum?: WalSum;
  /** Look at every page's header: the best that can be done for content that has no checksum at all. */
  readonly everyPage: boolean;
}

/** The page size of every PostgreSQL build we handle (`XLOG_BLCKSZ`). */
const pageBytes = 8 * kib;
/** Magic, flags, timeline, address: the part of a page header that is looked at. */
const pageHeaderBytes = 16;

/**
 * Checks a WAL file as its decoded bytes go by. `update` throws `object-corrupt` as soon as the content is too long or a
 * page is wrong, `finish` for everything that only shows at the end.
 */
export class WalContentCheck {
  readonly #expected: ContentExpectation;
  readonly #isText: boolean;
  readonly #limitBytes: number;
  /** The head of a segment; all of a text file. */
  readonly #head: Uint8Array[] = [];
  #headBytes = 0;
  #sizeBytes = 0;
  #crc = 0;
  readonly #page = Buffer.alloc(pageHeaderBytes);
  #firstMagic: number | undefined;

  constructor(expected: ContentExpectation) {
    this.#expected = expected;
    this.#isText = expected.file.kind === "history" || expected.file.kind === "backup-label";
    this.#limitBytes = this.#isText ? textFileLimitBytes : (expected.walSegmentSizeBytes ?? gib);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(chunk: Uint8Array): void {
    if (this.#sizeBytes + chunk.length > this.#limitBytes) {
      throw this.#corrupt(`it has more than ${this.#limitBytes} bytes`);
    }
    const wantedHead = this.#isText ? textFileLimitBytes : pageBytes;
    if (this.#headBytes < wantedHead) {
      const piece = Buffer.from(chunk.subarray(0, wantedHead - this.#headBytes));
      this.#head.push(piece);
      this.#headBytes += piece.length;
    }
    if (this.#expected.sum !== undefined) this.#crc = crc32(chunk, this.#crc);
    if (this.#expected.everyPage && !this.#isText) this.#lookAtPages(chunk);
    this.#sizeBytes += chunk.length;
  }

  finish(): void {
    const { file, sum, walSegmentSizeBytes, systemIdentifier } = this.#expected;
    if (sum !== undefined && (sum.sizeBytes !== this.#sizeBytes || sum.crc32 !== this.#crc)) {
      throw this.#corrupt(
        `it has ${this.#sizeBytes} bytes with CRC ${formatCrc32(this.#crc)}, but was archived with ${sum.sizeBytes} bytes and CRC ${formatCrc32(sum.crc32)}`,
      );
    }
    const head = Buffer.concat(this.#head);
    try {
      if (file.kind === "segment" || file.kind === "partial") {
        checkWalHead(file, head, {
          sizeBytes: this.#sizeBytes,
          ...(walSegmentSizeBytes === undefined ? {} : { walSegmentSizeBytes }),
          ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
        });
      } else {
        checkWalText(file, head);
      }
    } catch (cause) {
      throw this.#corrupt("it is not what its name says", cause);
    }
  }

  /** Collects each page's first bytes, however the chunks are cut. */
  #lookAtPages(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const inPage = (this.#sizeBytes + at) % pageBytes;
      if (inPage >= pageHeaderBytes) {
        at += pageBytes - inPage;
        continue;
      }
      const piece = chunk.subarray(at, at + pageHeaderBytes - inPage);
      this.#page.set(piece, inPage);
      at += piece.length;
      if (inPage + piece.length === pageHeaderBytes) this.#checkPage(this.#sizeBytes + at - pageHeaderBytes);
    }
  }

  /**
   * A page that was never filled is zeros: after a switch of segments PostgreSQL clears the headers of the rest
   * (CopyXLogRecordToWAL in xlog.c). A partial segment may hold old pages of the file it was recycled from.
   */
  #checkPage(offset: number): void {
    const { file, walSegmentSizeBytes } = this.#expected;
    if (file.kind !== "segment") return;
    const magic = this.#page.readUInt16LE(0);
    this.#firstMagic ??= magic;
    if (offset === 0 || this.#page.every((byte) => byte === 0)) return;
    const address = this.#page.readBigUInt64LE(8);
    const isPlaced =
      walSegmentSizeBytes === undefined
        ? address % BigInt(mibStep) === BigInt(offset % mibStep)
        : address === segmentStartLsn(file.segment, walSegmentSizeBytes) + BigInt(offset);
    if (magic !== this.#firstMagic || !isPlaced) {
      throw this.#corrupt(`the page at byte ${offset} does not have the header of that page`);
    }
  }

  #corrupt(reason: string, cause?: unknown): EngineError {
    return new EngineError(
      "object-corrupt",
      `stored WAL file "${this.#expected.file.name}" is damaged: ${reason}`,
      {
        ...(cause === undefined ? {} : { cause }),
        hint: "A second repository, or another copy of the object, may hold a good one.",
        details: { segment: this.#expected.file.name, headerBytes: walLongHeaderBytes },
      },
    );
  }
}

/** Segments are a whole number of MiB, so without knowing their size an address is still known modulo one. */
const mibStep = 1024 * kib;
