import { assert } from "../../common/errors.ts";
import type { TarEntry } from "./entry.ts";
import {
  blockBytes,
  type Field,
  fields,
  headerChecksums,
  paddingBytes,
  recordBytes,
  ustarMagic,
} from "./layout.ts";
import { encodePaxRecords } from "./pax.ts";

/**
 * Writes tar members as POSIX pax does: a ustar header, with an extended header before it only where a value does not
 * fit. A fitting name costs one block, so most of a data directory does; Barman and every tar of this century read both.
 */

const typeFlags = { file: "0", symlink: "2", directory: "5" } as const;

/**
 * All header blocks of a member. For a file, its `sizeBytes` bytes must follow, then `tarPadding(sizeBytes)`.
 * A path with a NUL byte, or a size that is not a whole number, is a bug of the caller.
 */
export function encodeTarHeader(entry: TarEntry): Uint8Array {
  assert(
    !entry.path.includes("\0") && entry.path !== "",
    `"${entry.path}" cannot be a name in a tar archive`,
  );
  const sizeBytes = entry.kind === "file" ? entry.sizeBytes : 0;
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `${sizeBytes} cannot be the size of a file`);
  const path = entry.kind === "directory" ? `${entry.path}/` : entry.path;
  const linkPath = entry.kind === "symlink" ? entry.linkPath : "";
  const extended: Record<string, string> = {};
  const header = Buffer.alloc(blockBytes);

  const name = splitName(path);
  if (name === undefined) extended["path"] = path;
  putText(header, fields.name, name?.name ?? asciiOnly(path));
  putText(header, fields.prefix, name?.prefix ?? "");
  if (!putText(header, fields.linkName, linkPath)) extended["linkpath"] = linkPath;
  if (!putText(header, fields.userName, entry.userName)) extended["uname"] = entry.userName;
  if (!putText(header, fields.groupName, entry.groupName)) extended["gname"] = entry.groupName;
  putNumber(header, fields.mode, entry.mode & 0o7777);
  if (!putNumber(header, fields.uid, entry.uid)) extended["uid"] = String(entry.uid);
  if (!putNumber(header, fields.gid, entry.gid)) extended["gid"] = String(entry.gid);
  if (!putNumber(header, fields.size, sizeBytes)) extended["size"] = String(sizeBytes);
  if (!putNumber(header, fields.mtime, entry.mtimeSeconds)) extended["mtime"] = String(entry.mtimeSeconds);
  sealHeader(header, typeFlags[entry.kind]);

  if (Object.keys(extended).length === 0) return header;
  return Buffer.concat([encodeExtendedHeader(extended, path), header]);
}

/** The zero bytes between a body of this size and the next header: empty, or less than a block. Do not change them. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return zeros.subarray(0, paddingBytes(sizeBytes));
}

/**
 * What ends an archive of `archiveBytes` bytes: two zero blocks, and more up to a whole record of 10,240 bytes, as GNU
 * tar and Python write it. Do not change the bytes.
 */
export function tarEnd(archiveBytes: number): Uint8Array {
  const end = 2 * blockBytes;
  return zeros.subarray(0, end + ((recordBytes - ((archiveBytes + end) % recordBytes)) % recordBytes));
}

const zeros = Buffer.alloc(recordBytes + 2 * blockBytes);

function encodeExtendedHeader(records: Record<string, string>, path: string): Uint8Array {
  const body = encodePaxRecords(records);
  const header = Buffer.alloc(blockBytes);
  // A tar that does not know pax unpacks this as a file; the name says where it came from.
  const base = path.replace(/\/$/, "").split("/").at(-1) ?? "";
  putText(header, fields.name, `PaxHeaders/${asciiOnly(base)}`.slice(0, fields.name.length));
  putNumber(header, fields.mode, 0o644);
  putNumber(header, fields.uid, 0);
  putNumber(header, fields.gid, 0);
  putNumber(header, fields.size, body.length);
  putNumber(header, fields.mtime, 0);
  sealHeader(header, "x");
  return Buffer.concat([header, body, tarPadding(body.length)]);
}

function sealHeader(header: Buffer, typeFlag: string): void {
  header.write(typeFlag, fields.typeFlag.at, "latin1");
  header.write(ustarMagic, fields.magic.at, "latin1");
  putNumber(header, fields.deviceMajor, 0);
  putNumber(header, fields.deviceMinor, 0);
  const { unsigned } = headerChecksums(header);
  header.write(`${unsigned.toString(8).padStart(6, "0")}\0 `, fields.checksum.at, "latin1");
}

/** The name cut at a slash so that both sides fit their fields, or undefined when no cut does or it is not ASCII. */
function splitName(path: string): { readonly prefix: string; readonly name: string } | undefined {
  if (!isAscii(path)) return undefined;
  if (path.length <= fields.name.length) return { prefix: "", name: path };
  const slash = path.indexOf("/", path.length - fields.name.length - 1);
  if (slash <= 0 || slash > fields.prefix.length || slash === path.length - 1) return undefined;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** Writes text that is ASCII and fits; false, with a legible stand-in written, when it is not or does not. */
function putText(header: Buffer, field: Field, text: string): boolean {
  header.write(asciiOnly(text), field.at, field.length, "latin1");
  return isAscii(text) && text.length <= field.length;
}

/** Writes an octal number with its NUL; false, with zero written, when it does not fit. */
function putNumber(header: Buffer, field: Field, value: number): boolean {
  const fits = value >= 0 && value < 8 ** (field.length - 1);
  const digits = (fits ? value : 0).toString(8).padStart(field.length - 1, "0");
  header.write(digits, field.at, "latin1");
  return fits;
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

function asciiOnly(text: string): string {
  return text.replace(/[^\0-\x7f]/g, "_");
}
