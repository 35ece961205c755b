/** The content of a request: sent as it lies in memory, hashed at most once. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { byteLength, eachSlice } from "../upload-parts.ts";
import type { S3Session } from "./s3-session.ts";

export interface Payload {
  readonly Body: Uint8Array | Readable;
  readonly ContentLength: number;
  /** Value of `x-amz-content-sha256`. */
  readonly contentSha256: string;
}

/**
 * Over TLS the connection protects the content, and S3 takes `UNSIGNED-PAYLOAD`; over plain HTTP the content is hashed
 * and the hash signed, which the server checks.
 */
export async function createPayload(session: S3Session, pieces: readonly Uint8Array[]): Promise<Payload> {
  const [only, ...more] = pieces;
  return {
    Body:
      more.length === 0 ? asBuffer(only ?? new Uint8Array()) : Readable.from(pieces, { objectMode: false }),
    ContentLength: byteLength(pieces),
    contentSha256: session.encrypted ? "UNSIGNED-PAYLOAD" : await sha256(pieces),
  };
}

async function sha256(pieces: readonly Uint8Array[]): Promise<string> {
  const hash = createHash("sha256");
  await eachSlice(pieces, (slice) => hash.update(slice));
  return hash.digest("hex");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

interface HttpMessage {
  readonly headers: Record<string, string>;
}

interface StackOf {
  add(
    middleware: (next: (args: never) => Promise<unknown>) => (args: never) => Promise<unknown>,
    options: { readonly step: "build" | "deserialize"; readonly name: string },
  ): void;
}

/**
 * Adds a header to one command and reads the `Date` of its answer: PUT answers do not say when the object was written
 * otherwise, and a second request only for that would double the cost.
 */
export function instrument(
  command: { readonly middlewareStack: unknown },
  contentSha256: string | undefined,
): { readonly answeredAt: () => Date } {
  const stack = command.middlewareStack as StackOf;
  let date: string | undefined;
  if (contentSha256 !== undefined) {
    stack.add(
      (next) => async (args) => {
        (args as { readonly request: HttpMessage }).request.headers["x-amz-content-sha256"] = contentSha256;
        return next(args);
      },
      { step: "build", name: "tidemarkContentSha256" },
    );
  }
  stack.add(
    (next) => async (args) => {
      const result = await next(args);
      date = (result as { readonly response: HttpMessage }).response.headers.date;
      return result;
    },
    { step: "deserialize", name: "tidemarkAnswerDate" },
  );
  return {
    answeredAt: () => {
      const time = date === undefined ? Number.NaN : Date.parse(date);
      return Number.isNaN(time) ? new Date() : new Date(time);
    },
  };
}
