/**
 * The names of an upload's blocks. All of a blob's must have one length, of at most 64 bytes, and are sent as base64. Each
 * holds its upload's ID, so that two uploads under one key never mix, and its index, so that parts come in any order.
 */
import { randomBytes } from "node:crypto";

const ours = /^(tidemark-([0-9a-z]{9})-[0-9a-f]{12})-(?:\d{5}|start)$/;

/** Of a new upload; it says when that began. */
export function newUploadId(startedAt: Date): string {
  const time = startedAt.getTime().toString(36).padStart(9, "0");
  return `tidemark-${time}-${randomBytes(6).toString("hex")}`;
}

/** Of a part. `start` is the block that only says that the upload was begun. */
export function blockName(uploadId: string, index: number | "start"): string {
  const place = index === "start" ? index : String(index).padStart(5, "0");
  return Buffer.from(`${uploadId}-${place}`).toString("base64");
}

/** Whose block it is and since when that upload goes on; undefined for another program's. */
export function readBlockName(
  name: string,
): { readonly uploadId: string; readonly startedAt: Date } | undefined {
  const [, uploadId, time] = ours.exec(Buffer.from(name, "base64").toString("latin1")) ?? [];
  if (uploadId === undefined || time === undefined) return undefined;
  return { uploadId, startedAt: new Date(Number.parseInt(time, 36)) };
}
