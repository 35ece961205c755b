import { createHash } from "node:crypto";
import { mib } from "../../common/units.ts";
import { majorFacts } from "../../postgres/majors.ts";
import { systemIdentifier, type SystemIdentifier } from "../../postgres/system-identifier.ts";
import { timelineId } from "../../postgres/timeline.ts";
import {
  parseWalSegmentName,
  segmentStartLsn,
  timelineOfSegment,
  walSegmentName,
  type WalSegmentName,
} from "../../postgres/wal-file-name.ts";

/** The system that made-up WAL is of, unless said otherwise. */
export const testSystem = systemIdentifier(7_710_590_382_845_464_260n);

export interface MadeUpSegment {
  readonly name: string;
  readonly system?: SystemIdentifier;
  readonly sizeBytes?: number;
  /** Decides the content behind the page headers. */
  readonly seed?: string;
  /** `easy` compresses about as pgbench's WAL does, `hard` to about half, as md5 text does. */
  readonly content?: "easy" | "hard";
}

const pageBytes = 8192;

/** A segment whose page headers are all right, with content that no server would replay. */
export function makeSegment(options: MadeUpSegment): Buffer {
  const name: WalSegmentName = parseWalSegmentName(options.name);
  const sizeBytes = options.sizeBytes ?? mib;
  const bytes = Buffer.alloc(sizeBytes);
  fill(bytes, `${options.name}${options.seed ?? ""}`, options.content ?? "easy");
  const start = segmentStartLsn(name, sizeBytes);
  for (let page = 0; page < sizeBytes; page += pageBytes) {
    bytes.writeUInt16LE(majorFacts[17].walPageMagic, page);
    bytes.writeUInt16LE(page === 0 ? 2 : 0, page + 2);
    bytes.writeUInt32LE(timelineOfSegment(name), page + 4);
    bytes.writeBigUInt64LE(start + BigInt(page), page + 8);
  }
  bytes.writeUInt32LE(0, 16);
  bytes.writeBigUInt64LE(options.system ?? testSystem, 24);
  bytes.writeUInt32LE(sizeBytes, 32);
  bytes.writeUInt32LE(pageBytes, 36);
  return bytes;
}

function fill(bytes: Buffer, seed: string, content: "easy" | "hard"): void {
  const step = content === "hard" ? 32 : 64;
  for (let at = 0; at + step <= bytes.length; at += step) {
    if (content === "hard") bytes.write(createHash("md5").update(`${seed}${at}`).digest("hex"), at, "latin1");
    else {
      bytes.writeUInt32LE(at, at);
      bytes.write(`${seed.slice(-8)} filler of a tuple`, at + 8, 40, "latin1");
    }
  }
}

/** The name of segment `number` on a timeline. */
export function segmentName(number: number, options: { timeline?: number; sizeBytes?: number } = {}): string {
  return walSegmentName({
    timeline: timelineId(options.timeline ?? 1),
    segmentNumber: BigInt(number),
    segmentSizeBytes: options.sizeBytes ?? mib,
  });
}
