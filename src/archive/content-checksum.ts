import { crc32 } from "node:zlib";
import type { CodecName } from "../codec/codec.ts";
import { formatCrc32 } from "../repository/wal-sum.ts";

/**
 * A checksum of a WAL file's content with the name of its algorithm, `crc32:0a1b2c3d` or `xxh64:0a1b2c3d` (the low 32 bits,
 * as zstd stores them). Where the encoder has just computed one, it is taken from the end of what it wrote: a second pass
 * over 16 MiB would cost a fifth of all the work on a segment that compresses well.
 */
export type ContentChecksum = `${"crc32" | "xxh64"}:${string}`;

const pattern = /^(?:crc32|xxh64):[0-9a-f]{8}$/;

export function isContentChecksum(text: string): text is ContentChecksum {
  return pattern.test(text);
}

export function formatCrc32Checksum(value: number): ContentChecksum {
  return `crc32:${formatCrc32(value)}`;
}

/** The checksum that ends the one member or frame our encoder wrote; undefined for codecs that end otherwise. */
export function encodedChecksum(
  codec: CodecName,
  encoded: readonly Uint8Array[],
): ContentChecksum | undefined {
  // RFC 8878 3.1.1: Content_Checksum is the last field of a frame. RFC 1952 2.3: CRC32, then ISIZE.
  if (codec === "zstd") return `xxh64:${formatCrc32(lastUint32(encoded, 4))}`;
  if (codec === "gzip") return `crc32:${formatCrc32(lastUint32(encoded, 8))}`;
  return undefined;
}

/** The checksum of bytes that are in memory. */
export function checksumOf(bytes: Uint8Array): ContentChecksum {
  return formatCrc32Checksum(crc32(bytes));
}

function lastUint32(pieces: readonly Uint8Array[], fromEnd: number): number {
  const tail: Uint8Array[] = [];
  for (let at = pieces.length - 1, found = 0; at >= 0 && found < fromEnd; at--) {
    const piece = pieces[at] ?? new Uint8Array();
    tail.unshift(piece);
    found += piece.length;
  }
  const bytes = Buffer.concat(tail);
  return bytes.readUInt32LE(bytes.length - fromEnd);
}
