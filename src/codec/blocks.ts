/** The same bytes in blocks of `size`, but for a shorter last one; none when there are no bytes. */
export async function* gatherBlocks(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let block: Uint8Array = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      if (filled === 0 && chunk.length - at >= size) {
        yield chunk.subarray(at, at + size);
        at += size;
        continue;
      }
      const step = Math.min(size - filled, chunk.length - at);
      block.set(chunk.subarray(at, at + step), filled);
      filled += step;
      at += step;
      if (filled === size) {
        yield block;
        block = new Uint8Array(size);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}
