import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate } from "node:timers/promises";
import { releaseChunk } from "../../common/release-chunk.ts";

/** Runs chunks through a stage and gives what comes out, joined. */
export async function through(stage: Duplex, chunks: Iterable<Uint8Array>): Promise<Buffer> {
  const out: Uint8Array[] = [];
  await pipeline(chunks, stage, async (source: AsyncIterable<Uint8Array>) => {
    for await (const chunk of source) out.push(chunk);
  });
  return Buffer.concat(out);
}

/** The same for a reader that gives back the memory of every chunk it has read. */
export async function throughReleased(stage: Duplex, chunks: Iterable<Uint8Array>): Promise<Buffer> {
  const out: Uint8Array[] = [];
  await pipeline(chunks, stage, async (source: AsyncIterable<Uint8Array>) => {
    for await (const chunk of source) {
      out.push(Uint8Array.from(chunk));
      releaseChunk(chunk);
      await setImmediate();
    }
  });
  return Buffer.concat(out);
}

/** Bytes cut into pieces of `size`. */
export function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The same pieces as an asynchronous source. */
export async function* asyncSource(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

export async function collect<Item>(source: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of source) items.push(item);
  return items;
}
