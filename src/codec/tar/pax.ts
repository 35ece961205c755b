import { corruptData } from "../corrupt.ts";
import { decodeText } from "./text.ts";

/** Keyword to value, as in a pax extended header (POSIX.1-2017, pax, "pax Extended Header"). */
export type PaxRecords = Readonly<Record<string, string>>;

/** `27 path=base/5/1259` with a newline, where the number counts the whole record, itself included. */
export function encodePaxRecords(records: PaxRecords): Uint8Array {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.from(` ${key}=${value}\n`, "utf8");
      let digits = 1;
      while (String(rest.length + digits).length > digits) digits++;
      return Buffer.concat([Buffer.from(String(rest.length + digits), "latin1"), rest]);
    }),
  );
}

/** The records of an extended header; `offset` is where they lie in the archive, for the error `object-corrupt`. */
export function parsePaxRecords(bytes: Uint8Array, offset: number): PaxRecords {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at < buffer.length;) {
    // Some writers fill the block with zero bytes and count them.
    if (buffer[at] === 0) break;
    const space = buffer.indexOf(0x20, at);
    const lengthText = space < 0 ? "" : buffer.toString("latin1", at, space);
    const end = at + (/^[1-9]\d{0,8}$/.test(lengthText) ? Number(lengthText) : 0);
    const equals = buffer.indexOf(0x3d, space);
    if (end <= space || end > buffer.length || equals < 0 || equals >= end || buffer[end - 1] !== 0x0a) {
      throw corruptData(
        "tar",
        `the extended header at offset ${offset} has no valid record at its byte ${at}`,
      );
    }
    const key = decodeText(buffer.subarray(space + 1, equals), "keyword", offset);
    // Values of keywords we do not use (ACLs, extended attributes) may be any bytes.
    if (understoodKeys.has(key) || key.startsWith("GNU.sparse.")) {
      records[key] = decodeText(buffer.subarray(equals + 1, end - 1), key, offset);
    }
    at = end;
  }
  return records;
}

const understoodKeys: ReadonlySet<string> = new Set([
  "path",
  "linkpath",
  "size",
  "uid",
  "gid",
  "uname",
  "gname",
  "mtime",
]);
