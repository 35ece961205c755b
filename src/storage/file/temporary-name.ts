/**
 * Names of files that are not finished: `.tidemark-<start time, hex ms>-<random>.<last step of the key>`, beside the
 * file they will become (a rename must stay on one file system). Names in `.tidemark-` are never listed as objects; the
 * time and the key in them are all that `abandonedUploads` needs after a crash.
 */
import { randomBytes } from "node:crypto";

const reserved = ".tidemark-";
const pattern = /^\.tidemark-([0-9a-f]{12})-[0-9a-f]{12}\.(.+)$/s;

/** Longest last step of a key in bytes: file names may have 255 (NAME_MAX), and ours add 37. */
export const maxStepBytes = 218;

export function isReservedName(name: string): boolean {
  return name.startsWith(reserved);
}

export function formatTemporaryName(finalName: string, startedAt: Date): string {
  const time = startedAt.getTime().toString(16).padStart(12, "0");
  return `${reserved}${time}-${randomBytes(6).toString("hex")}.${finalName}`;
}

/** The parts of a temporary name, or undefined for any other name. */
export function parseTemporaryName(
  name: string,
): { readonly finalName: string; readonly startedAt: Date } | undefined {
  const match = pattern.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { finalName: match[2], startedAt: new Date(Number.parseInt(match[1], 16)) };
}
