import { assert } from "./errors.ts";
import { kib } from "./units.ts";

/**
 * Gives the memory of a chunk back: at once when the chunk is all of its buffer, otherwise when the last part of the
 * buffer has been given back. To be called once for a chunk, by the one who owns it, when nothing reads or writes it any
 * more; it is empty afterwards. Parts of a small buffer are left to the garbage collector: Node cuts small buffers of many
 * owners from one.
 *
 * V8 starts a full collection for every few tens of MiB of buffers that were made, however small the rest of the heap:
 * a restore of 2 GB had a hundred of them, which took more than half of its CPU time. A buffer that is given back does
 * not count.
 */
export function releaseChunk({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  if (byteLength < buffer.byteLength) {
    if (buffer.byteLength < smallestCountedBytes) return;
    const bytes = (releasedBytes.get(buffer) ?? 0) + byteLength;
    if (bytes < buffer.byteLength) {
      releasedBytes.set(buffer, bytes);
      return;
    }
    assert(bytes === buffer.byteLength, "no part of a buffer is given back twice");
  }
  buffer.transfer(0);
}

/** Of buffers of which some parts have been given back. */
const releasedBytes = new WeakMap<ArrayBuffer, number>();

/** Larger than any pool that Node cuts buffers from. */
const smallestCountedBytes = 128 * kib;
