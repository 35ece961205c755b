/** Making, reading and dropping the bodies that `ObjectStore.get` returns. */
import { EngineError } from "../common/errors.ts";
import { formatBytes } from "../common/units.ts";
import type { CallOptions, ObjectStore, OpenObject } from "./object-store.ts";

/** What a body reads from: `read` gives the next chunk or undefined at the end; `close` is safe to repeat. */
export interface BodySource {
  read(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/**
 * An async iterable over a source, which is closed at the end, on failure and when the loop is left. Not a generator:
 * returning from a generator that was never started skips its `finally`, and the source would stay open.
 */
export function createBody(source: BodySource): AsyncIterable<Uint8Array> {
  let finished = false;
  const finish = async (): Promise<IteratorReturnResult<undefined>> => {
    finished = true;
    await source.close();
    return { done: true, value: undefined };
  };
  const iterator: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => iterator,
    next: async () => {
      if (finished) return { done: true, value: undefined };
      let chunk: Uint8Array | undefined;
      try {
        chunk = await source.read();
      } catch (error) {
        await finish();
        throw error;
      }
      if (chunk === undefined) return finish();
      return { done: false, value: chunk };
    },
    return: finish,
  };
  return iterator;
}

/** Closes an opened object without reading (the rest of) it. Safe to repeat. */
export async function discardBody(opened: OpenObject): Promise<void> {
  await opened.body[Symbol.asyncIterator]().return?.();
}

/**
 * Reads a whole object that is known to be small, or undefined when there is none. Throws `object-corrupt` when it is
 * larger than `maxBytes`: such an object is not what the caller takes it for.
 */
export async function readObject(
  store: ObjectStore,
  key: string,
  maxBytes: number,
  options: CallOptions = {},
): Promise<Buffer | undefined> {
  const opened = await store.get(key, options);
  if (opened === undefined) return undefined;
  if (opened.info.sizeBytes > maxBytes) {
    await discardBody(opened);
    throw new EngineError(
      "object-corrupt",
      `could not read "${key}" in ${store.url}: it has ${formatBytes(opened.info.sizeBytes)}, and at most ${formatBytes(maxBytes)} were expected`,
    );
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.body) chunks.push(chunk);
  return chunks.length === 1 && Buffer.isBuffer(chunks[0]) ? chunks[0] : Buffer.concat(chunks);
}
