import { signalOption } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import type { ObjectStore, ObjectUpload, WriteOptions } from "./object-store.ts";
import { planUpload } from "./upload-plan.ts";

export interface StoreStreamOptions extends WriteOptions {
  /** What the content will hardly be longer than: it decides how it is cut. */
  readonly expectedBytes: number;
  /** Asked when all bytes have been read, before anything is visible under the key; throws to leave it so. */
  readonly verify: () => void;
}

/**
 * Stores an object from chunks as they come, whole or not at all, replacing another one unless `ifAbsent`. In memory are two
 * or three upload parts at most. Throws what the source, `verify` and the store throw; then no upload is left behind, as far
 * as the store lets us.
 */
export async function storeStream(
  store: ObjectStore,
  key: string,
  source: AsyncIterable<Uint8Array>,
  { expectedBytes, verify, signal, ifAbsent }: StoreStreamOptions,
): Promise<void> {
  const { partBytes, maxInFlight } = planUpload([store.capabilities], expectedBytes);
  const write = { ...signalOption(signal), ...(ifAbsent === undefined ? {} : { ifAbsent }) };
  const parts = cutIntoParts(source, partBytes)[Symbol.asyncIterator]();
  const first = await parts.next();
  const second = first.done === true ? first : await parts.next();
  if (first.done === true || second.done === true) {
    verify();
    await store.put(key, first.done === true ? [] : [first.value], write);
    return;
  }
  const upload: ObjectUpload = await store.startUpload(key, { ...write, partBytes });
  try {
    const rest = { [Symbol.asyncIterator]: () => parts };
    const all = chained([first.value, second.value], rest);
    await mapConcurrent(
      all,
      maxInFlight,
      async (part, index) => upload.writePart(index, [part], signalOption(signal)),
      signal,
    );
    verify();
    await upload.complete(signalOption(signal));
  } catch (error) {
    // What the store does not drop now is found as an abandoned upload.
    await upload.abort().catch(() => undefined);
    throw error;
  }
}

async function* chained<T>(first: readonly T[], rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* first;
  yield* rest;
}

/** Copies into buffers of exactly `partBytes`, the last one shorter; an empty source gives none. */
async function* cutIntoParts(
  source: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let pieces: Uint8Array[] = [];
  let gatheredBytes = 0;
  for await (const chunk of source) {
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, partBytes - gatheredBytes);
      pieces.push(piece);
      gatheredBytes += piece.length;
      rest = rest.subarray(piece.length);
      if (gatheredBytes < partBytes) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      gatheredBytes = 0;
    }
  }
  if (gatheredBytes > 0) yield Buffer.concat(pieces);
}
