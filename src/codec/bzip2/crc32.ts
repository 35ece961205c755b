/** CRC-32 with the most significant bit first, as bzip2 has it (`zlib.crc32` has the bits the other way round). */

const table = ((): Int32Array => {
  const entries = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c1_1db7 : 0);
    entries[byte] = crc;
  }
  return entries;
})();

/** The register after `bytes`; it starts as -1, and its complement at the end is the checksum. */
export function updateCrc(register: number, bytes: Uint8Array): number {
  let crc = register;
  for (let at = 0; at < bytes.length; at++) {
    crc = (crc << 8) ^ (table[(crc >>> 24) ^ (bytes[at] as number)] as number);
  }
  return crc;
}
