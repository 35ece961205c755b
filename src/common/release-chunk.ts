/**
 * Gives the memory of a chunk back at once, when the chunk is all of its buffer; a view of a part is left to the garbage
 * collector. To be called by the one who owns the chunk, when nothing reads or writes it any more: it is empty
 * afterwards.
 *
 * V8 starts a full collection for every few tens of MiB of buffers that were made, however small the rest of the heap:
 * a restore of 2 GB had a hundred of them, which took more than half of its CPU time. A buffer that is given back does
 * not count.
 */
export function releaseChunk({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0);
}
