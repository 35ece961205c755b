/** Uploads as the stand-in for Google's storage takes them: in one request, and by the protocol of resumable ones. */
import type { IncomingHttpHeaders } from "node:http";
import { Refusal, type StandInBucket, type StoredObject } from "./gcs-stand-in-bucket.ts";

/** What Google keeps of a request is a multiple of this, unless it is the last one. */
const unitBytes = 256 * 1024;

/** The two parts of a `multipart/related` body. */
export function parseMultipart(
  type: string,
  body: Buffer,
): { readonly metadata: { readonly name: string; readonly crc32c?: string }; readonly content: Buffer } {
  const boundary = /boundary=("?)([^";]+)\1/.exec(type)?.[2];
  if (boundary === undefined) throw new Refusal(400, "badRequest", "Missing multipart boundary.");
  const separator = Buffer.from(`\r\n--${boundary}`);
  const headersEnd = "\r\n\r\n";
  const metadataStart = body.indexOf(headersEnd) + headersEnd.length;
  const metadataEnd = body.indexOf(separator, metadataStart);
  const contentStart = body.indexOf(headersEnd, metadataEnd) + headersEnd.length;
  const contentEnd = body.lastIndexOf(separator);
  if (metadataEnd === -1 || contentEnd < contentStart) {
    throw new Refusal(400, "badRequest", "Malformed multipart body.");
  }
  return {
    metadata: JSON.parse(body.subarray(metadataStart, metadataEnd).toString()) as { name: string },
    content: Buffer.from(body.subarray(contentStart, contentEnd)),
  };
}

export type ChunkAnswer =
  | { readonly kind: "incomplete"; readonly storedBytes: number }
  | { readonly kind: "complete"; readonly object: StoredObject };

/** One request to an upload: bytes at a place, or the question how far it is. */
export function receiveChunk(
  bucket: StandInBucket,
  id: string,
  headers: IncomingHttpHeaders,
  body: { readonly content: Buffer; readonly isCut: boolean },
): ChunkAnswer {
  const upload = bucket.uploads.get(id);
  if (upload === undefined) throw new Refusal(410, "gone", "The requested upload is no longer available.");
  if (upload.completed !== undefined) return { kind: "complete", object: upload.completed };
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
  if (match === null) throw new Refusal(400, "badRequest", "Failed to parse Content-Range header.");
  const [, first, last, total = "*"] = match;
  const stored = upload.content.length;
  if (first !== undefined && last !== undefined) {
    if (Number(first) !== stored) throw new Refusal(400, "badRequest", `expected offset ${stored}`);
    const length = Number(last) - Number(first) + 1;
    if (!body.isCut && body.content.length !== length) {
      throw new Refusal(400, "badRequest", "Content-Length does not match the range.");
    }
    const isLast = total !== "*" && Number(last) + 1 === Number(total);
    if (!isLast && length % unitBytes !== 0) {
      throw new Refusal(
        400,
        "badRequest",
        "The number of bytes uploaded is required to be equal or greater than 262144, except for the final request.",
      );
    }
    const kept = body.isCut ? body.content.length - (body.content.length % unitBytes) : length;
    upload.content = Buffer.concat([upload.content, body.content.subarray(0, kept)]);
  }
  if (upload.content.length !== Number(total)) {
    return { kind: "incomplete", storedBytes: upload.content.length };
  }
  const checksum = /crc32c=([^,]+)/.exec(String(headers["x-goog-hash"] ?? ""))?.[1];
  const { name, condition, content } = upload;
  upload.completed = bucket.write(name, content, { condition, checksum });
  return { kind: "complete", object: upload.completed };
}
