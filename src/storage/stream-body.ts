/** The body of an HTTP answer as the body of an object: what it must have, and how it may end. */
import type { Readable } from "node:stream";
import { EngineError } from "../common/errors.ts";
import { createBody } from "./object-body.ts";
import type { ByteRange, ObjectInfo, OpenObject } from "./object-store.ts";

export interface StreamBodyOptions {
  readonly stream: Readable;
  /** What the answer says of its own length, in bytes. */
  readonly expectedBytes: number;
  /** What was being done and where, for the message: `could not read "key" in s3://bucket`. */
  readonly failed: string;
  /** Runs each step and translates what it throws. */
  readonly attempt: <T>(step: () => Promise<T>) => Promise<T>;
}

/**
 * The bytes of an answer, which is destroyed when the loop is left. Fewer than were announced are `store-unavailable`, since
 * a connection cut in its midst looks like an end.
 */
export function streamBody(options: StreamBodyOptions): AsyncIterable<Uint8Array> {
  const { stream, expectedBytes, failed, attempt } = options;
  // A connection that breaks while nobody reads would otherwise end the process; the next read reports it.
  stream.on("error", () => undefined);
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let received = 0;
  return createBody({
    read: async () =>
      attempt(async () => {
        const step = await chunks.next();
        if (step.done !== true) {
          received += step.value.length;
          return step.value;
        }
        if (received === expectedBytes) return undefined;
        throw new EngineError(
          "store-unavailable",
          `${failed}: the answer ended after ${received} of ${expectedBytes} bytes`,
        );
      }),
    close: async () => {
      stream.destroy();
    },
  });
}

/** An answer that does not say how long it, or the object, is: whether it is whole could not be told. */
export function unmeasuredAnswer(failed: string, lacks: "length" | "range"): EngineError {
  return new EngineError("store-unavailable", `${failed}: the answer has no ${lacks}`, {
    retryable: false,
    hint: "A proxy between here and the store may be changing the answers.",
  });
}

/** Stores refuse ranges without bytes; the port allows an empty one up to the end of the object, `object-corrupt` behind it. */
export function openNothing(info: ObjectInfo, range: ByteRange, url: string): OpenObject {
  if (range.startByte > info.sizeBytes) {
    throw new EngineError(
      "object-corrupt",
      `could not read "${info.key}" in ${url} from byte ${range.startByte}: it has only ${info.sizeBytes} bytes`,
    );
  }
  return { info, body: createBody({ read: async () => undefined, close: async () => undefined }) };
}

/** The size of the whole object by a `Content-Range` (`bytes 0-9/100`); undefined when that does not say it. */
export function totalBytesOf(contentRange: string | undefined): number | undefined {
  const total = /\/(\d+)$/.exec(contentRange ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}
