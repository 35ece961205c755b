/**
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), which PostgreSQL and the snappy framing format use. Node's
 * `zlib.crc32` is another polynomial. Eight bytes a step through eight tables ("slicing by 8").
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const polynomial = 0x82f6_3b78;

/** Table `k` (256 entries at `k * 256`) holds the checksums of a byte followed by `k` zero bytes. */
const tables = ((): Int32Array => {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) {
    const shorter = all[at - 256] ?? 0;
    all[at] = (shorter >>> 8) ^ (all[shorter & 0xff] ?? 0);
  }
  return all;
})();

/**
 * The checksum of `bytes` as an unsigned 32-bit number. `seed` is the checksum of what came before them, so that
 * `crc32c(b, crc32c(a))` is the checksum of `a` and `b` together.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const table = tables;
  const whole = bytes.length & ~7;
  let crc = ~seed;
  let at = 0;
  // The indices are in range by construction; `as number` spares a test per look-up, which costs a third of the speed.
  for (; at < whole; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (table[1792 + (low & 0xff)] as number) ^
      (table[1536 + ((low >>> 8) & 0xff)] as number) ^
      (table[1280 + ((low >>> 16) & 0xff)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
