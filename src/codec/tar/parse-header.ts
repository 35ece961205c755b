import { corruptData } from "../corrupt.ts";
import type { TarMember } from "./entry.ts";
import { type Field, fields, gnuMagic, headerChecksums, ustarMagic } from "./layout.ts";
import type { PaxRecords } from "./pax.ts";
import { decodeText } from "./text.ts";

/** One header block, checked and decoded, before extended headers are applied. */
export interface RawHeader {
  readonly typeFlag: string;
  readonly path: string;
  readonly linkPath: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
}

/**
 * Decodes a 512-byte header of the v7, ustar, pax or GNU format. `offset` is where it lies in the archive; a block that is no
 * header, or has a wrong checksum, throws `object-corrupt` with it.
 */
export function parseRawHeader(block: Uint8Array, offset: number): RawHeader {
  const stored = parseNumber(block, fields.checksum, offset);
  const { unsigned, signed } = headerChecksums(block);
  if (stored !== unsigned && stored !== signed) {
    throw corruptData(
      "tar",
      `the header at offset ${offset} has checksum ${unsigned} where it says ${stored}`,
    );
  }
  const magic = rawText(block, fields.magic);
  const isUstar = magic === ustarMagic || magic.startsWith("ustar\0");
  const prefix = isUstar ? parseText(block, fields.prefix, "name", offset) : "";
  const name = parseText(block, fields.name, "name", offset);
  const hasOwners = isUstar || magic === gnuMagic;
  return {
    typeFlag: rawText(block, fields.typeFlag),
    path: prefix === "" ? name : `${prefix}/${name}`,
    linkPath: parseText(block, fields.linkName, "link", offset),
    mode: parseNumber(block, fields.mode, offset) & 0o7777,
    uid: parseNumber(block, fields.uid, offset),
    gid: parseNumber(block, fields.gid, offset),
    userName: hasOwners ? parseText(block, fields.userName, "user name", offset) : "",
    groupName: hasOwners ? parseText(block, fields.groupName, "group name", offset) : "",
    sizeBytes: parseSize(block, offset),
    mtimeSeconds: parseNumber(block, fields.mtime, offset),
  };
}

/** The member that a header stands for, with extended records laid over it and its body's length. */
export function toMember(
  raw: RawHeader,
  records: PaxRecords,
  offset: number,
): { readonly member: TarMember; readonly bodyBytes: number } {
  if (Object.keys(records).some((key) => key.startsWith("GNU.sparse."))) throw sparse(offset);
  const number = (key: string, fallback: number): number => paxNumber(records, key, offset) ?? fallback;
  const fullPath = records["path"] ?? raw.path;
  const path = withoutEndSlash(fullPath);
  if (path === "") throw corruptData("tar", `the member at offset ${offset} has no name`);
  if (path.includes("\0"))
    throw corruptData("tar", `the member at offset ${offset} has a NUL byte in its name`);
  const common = {
    path,
    mode: raw.mode,
    uid: number("uid", raw.uid),
    gid: number("gid", raw.gid),
    userName: records["uname"] ?? raw.userName,
    groupName: records["gname"] ?? raw.groupName,
    mtimeSeconds: Math.floor(number("mtime", raw.mtimeSeconds)),
  };
  const sizeBytes = number("size", raw.sizeBytes);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw corruptData("tar", `the member at offset ${offset} says its size is ${sizeBytes}`);
  }
  const linkPath = records["linkpath"] ?? raw.linkPath;
  switch (raw.typeFlag) {
    case "\0":
    case "0":
    case "7":
      // Before POSIX, a directory was a file whose name ended in a slash.
      if (fullPath.endsWith("/")) return { member: { kind: "directory", ...common }, bodyBytes: 0 };
      return { member: { kind: "file", ...common, sizeBytes }, bodyBytes: sizeBytes };
    case "1":
      return { member: { kind: "hardlink", ...common, linkPath }, bodyBytes: 0 };
    case "2":
      return { member: { kind: "symlink", ...common, linkPath }, bodyBytes: 0 };
    case "5":
      return { member: { kind: "directory", ...common }, bodyBytes: 0 };
    case "3":
    case "4":
    case "6":
      return { member: { kind: "special", ...common, typeFlag: raw.typeFlag }, bodyBytes: 0 };
    case "S":
      throw sparse(offset);
    default:
      throw corruptData("tar", `the member at offset ${offset} is of unknown type "${raw.typeFlag}"`);
  }
}

function sparse(offset: number): Error {
  return corruptData("tar", `the member at offset ${offset} is a sparse file, which is not supported`);
}

function withoutEndSlash(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  return path.slice(0, end);
}

function paxNumber(records: PaxRecords, key: string, offset: number): number | undefined {
  const text = records[key];
  if (text === undefined) return undefined;
  if (!/^-?\d+(\.\d*)?$/.test(text)) {
    throw corruptData("tar", `the member at offset ${offset} has "${text}" as its ${key}`);
  }
  return Number(text);
}

function bytesOf(block: Uint8Array, field: Field): Uint8Array {
  return block.subarray(field.at, field.at + field.length);
}

function rawText(block: Uint8Array, field: Field): string {
  return String.fromCharCode(...bytesOf(block, field));
}

function parseText(block: Uint8Array, field: Field, what: string, offset: number): string {
  const bytes = bytesOf(block, field);
  const end = bytes.indexOf(0);
  return decodeText(end < 0 ? bytes : bytes.subarray(0, end), what, offset);
}

/** Octal digits with spaces before and a space or NUL behind; or, where the top bit is set, GNU's big-endian binary. */
function parseNumber(block: Uint8Array, field: Field, offset: number): number {
  const bytes = bytesOf(block, field);
  const first = bytes[0] ?? 0;
  if (first >= 0x80) return parseBinary(bytes, field, offset);
  let at = 0;
  while (bytes[at] === 0x20) at++;
  let value = 0;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x20 || byte === 0) break;
    if (byte < 0x30 || byte > 0x37) throw notANumber(field, offset);
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

function parseBinary(bytes: Uint8Array, field: Field, offset: number): number {
  const negative = bytes[0] === 0xff;
  let value = negative ? -1n : BigInt((bytes[0] ?? 0) & 0x7f);
  for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw notANumber(field, offset);
  return number;
}

function parseSize(block: Uint8Array, offset: number): number {
  const value = parseNumber(block, fields.size, offset);
  if (value < 0) throw notANumber(fields.size, offset);
  return value;
}

function notANumber(field: Field, offset: number): Error {
  return corruptData("tar", `the header at offset ${offset} has no number at its byte ${field.at}`);
}
