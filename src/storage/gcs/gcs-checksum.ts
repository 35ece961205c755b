/** CRC-32C of what is stored: Google compares what it is sent with it, and says what it has. */
import { crc32c } from "../../common/crc32c.ts";
import { eachSlice } from "../upload-parts.ts";

/** As Google writes it: base64 of the big-endian value. */
export function formatCrc32c(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString("base64");
}

/** Of the pieces together; `seed` is that of what comes before them. */
export async function checksumOf(pieces: readonly Uint8Array[], seed = 0): Promise<number> {
  let checksum = seed;
  await eachSlice(pieces, (slice) => {
    checksum = crc32c(slice, checksum);
  });
  return checksum;
}
