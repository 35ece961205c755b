/**
 * What a key may look like, and how keys are ordered. Checked by every adapter before a request leaves, so that a key
 * means the same in a bucket and in a directory, and none can climb out of the store's root.
 */
import { EngineError } from "../common/errors.ts";

/** Whether `key` is a key of the port: non-empty steps other than `.` and `..`, joined by `/`, no control characters. */
export function isObjectKey(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  if (key === "" || /[\u0000-\u001f\u007f]/.test(key) || !key.isWellFormed()) return false;
  return key.split("/").every((step) => step !== "" && step !== "." && step !== "..");
}

/** Throws `usage` unless `key` is a key of the port. */
export function checkObjectKey(key: string): void {
  if (isObjectKey(key)) return;
  throw new EngineError("usage", `${JSON.stringify(key)} is not an object key`, {
    hint: "Use non-empty steps joined by single slashes, without . or .. steps and control characters.",
  });
}

/** Throws `usage` unless `prefix` is empty or could start a key. */
export function checkKeyPrefix(prefix: string): void {
  // What follows the last slash is the start of a step, so it may well be "." or empty.
  const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  if (isObjectKey(`${folder}x`) && isObjectKey(`x${prefix.slice(folder.length)}`)) return;
  throw new EngineError("usage", `${JSON.stringify(prefix)} cannot be the start of an object key`, {
    hint: "Use non-empty steps joined by single slashes, without . or .. steps and control characters.",
  });
}

/**
 * Orders keys by their UTF-8 bytes. JavaScript's own order is that of UTF-16 code units, which puts characters
 * outside the basic plane (as surrogates, D800–DFFF) before U+E000–U+FFFF; UTF-8 puts them after.
 */
export function compareKeys(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return utf8Rank(left) - utf8Rank(right);
  }
  return a.length - b.length;
}

function utf8Rank(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit;
  return codeUnit < 0xe000 ? codeUnit + 0x2000 : codeUnit - 0x800;
}
