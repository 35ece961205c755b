import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { throwIfAborted } from "../common/abort.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import type { PartUpload } from "./part-upload.ts";

/** Takes the bytes of a part in order, and passes on to its upload what is stored of them. */
export interface PartEncoder {
  /** The bytes are done with when this settles; the next may be written before. */
  write(bytes: Buffer): Promise<void>;
  /** Settles when everything has been passed on. After all writes. */
  end(): Promise<void>;
  /** Passes nothing on any more. Never throws. */
  abort(): Promise<void>;
}

/** No compression: the upload copies, so nothing else needs to. */
export function plainEncoder(upload: PartUpload): PartEncoder {
  let last = Promise.resolve();
  return {
    write: async (bytes) => {
      last = last.then(async () => upload.write(bytes));
      last.catch(() => undefined);
      return last;
    },
    end: async () => last,
    abort: async () => void (await Promise.allSettled([last])),
  };
}

/** A compressed object whose chunks are compressed at the same time, each by itself. */
export interface ChunkedEncoding {
  /** What stands before all chunks. */
  readonly head: Uint8Array;
  /** Called in the order of the chunks. A chunk is done with when this settles. */
  encode(chunk: Uint8Array): Promise<readonly Uint8Array[]>;
  /** What stands behind all chunks; asked for when all have been encoded. */
  readonly tail: Uint8Array;
}

/** Chunks are compressed several at a time, and passed on one after the other. */
export function chunkedEncoder(
  encoding: ChunkedEncoding,
  upload: PartUpload,
  signal: AbortSignal,
): PartEncoder {
  let last = upload.write(encoding.head);
  last.catch(() => undefined);
  return {
    write: async (bytes) => {
      throwIfAborted(signal);
      const chunk = encoding.encode(bytes);
      const before = last;
      last = (async () => {
        // Both to their ends, so that nothing reads the bytes any more when this settles.
        await Promise.allSettled([before, chunk]);
        await before;
        for (const piece of await chunk) {
          await upload.write(piece);
          releaseChunk(piece);
        }
      })();
      last.catch(() => undefined);
      return last;
    },
    end: async () => {
      await last;
      await upload.write(encoding.tail);
    },
    abort: async () => void (await Promise.allSettled([last])),
  };
}

/** A stream: one stage of compression for the whole part. */
export function streamEncoder(stage: Duplex, upload: PartUpload, signal: AbortSignal): PartEncoder {
  const passedOn = pipeline(
    stage,
    async (encoded: AsyncIterable<Buffer>) => {
      for await (const chunk of encoded) {
        await upload.write(chunk);
        releaseChunk(chunk);
      }
    },
    { signal },
  );
  // Its failure also fails the next write, and `end` reports it.
  passedOn.catch(() => undefined);
  return {
    write: async (bytes) => {
      // Every encoder has done with its input when the callback comes (tested for each).
      const written = new Promise<void>((resolve, reject) => {
        // A stream that is destroyed need not answer the write that it was busy with.
        passedOn.catch(reject);
        stage.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
      try {
        await written;
      } catch (error) {
        // A failed upload shows as a destroyed stream: its error, not that one.
        await passedOn;
        throw error;
      }
    },
    end: async () => {
      stage.end();
      await passedOn;
    },
    abort: async () => {
      stage.destroy();
      await Promise.allSettled([passedOn]);
    },
  };
}
