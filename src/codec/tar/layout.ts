/** Where the fields of a tar header lie (POSIX.1-2017, pax, "ustar Interchange Format"). */

export const blockBytes = 512;

/** Archives are padded to whole records of 20 blocks, as GNU tar and Python do. */
export const recordBytes = 20 * blockBytes;

export interface Field {
  readonly at: number;
  readonly length: number;
}

export const fields = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  checksum: { at: 148, length: 8 },
  typeFlag: { at: 156, length: 1 },
  linkName: { at: 157, length: 100 },
  magic: { at: 257, length: 8 },
  userName: { at: 265, length: 32 },
  groupName: { at: 297, length: 32 },
  deviceMajor: { at: 329, length: 8 },
  deviceMinor: { at: 337, length: 8 },
  prefix: { at: 345, length: 155 },
} as const satisfies Record<string, Field>;

/** Magic and version together: POSIX, and GNU's older own format (which uses the prefix field for other things). */
export const ustarMagic = "ustar\u000000";
export const gnuMagic = "ustar  \u0000";

/** Bytes of zeros between a body of this size and the next header. */
export function paddingBytes(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
}

/** Sums of a header's bytes with its checksum field taken as spaces; old writers summed signed bytes. */
export function headerChecksums(header: Uint8Array): { readonly unsigned: number; readonly signed: number } {
  const { at, length } = fields.checksum;
  let unsigned = 0;
  let high = 0;
  for (let index = 0; index < blockBytes; index++) {
    const byte = index >= at && index < at + length ? 0x20 : (header[index] ?? 0);
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - 256 * high };
}
