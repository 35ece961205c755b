import { releaseChunk } from "./release-chunk.ts";
import { mib } from "./units.ts";

/** Large enough that a file needs few, small enough that little of the last one is wasted. */
export const blockBytes = mib;

/**
 * Memory for bytes that are kept for a while, such as until they are stored, in blocks that are used again and again. V8
 * would count fresh buffers that live that long as growth of its heap, and collect for every few tens of MiB of them.
 */
export class BlockPool {
  readonly #idle: Buffer[] = [];

  /** An empty list that takes its blocks from here. */
  gather(): BlockList {
    return new BlockList(
      () => this.#idle.pop() ?? Buffer.allocUnsafeSlow(blockBytes),
      (blocks) => this.#idle.push(...blocks),
    );
  }

  /** Lets go of the blocks that nobody uses. */
  trim(): void {
    this.#idle.length = 0;
  }
}

/** Bytes in blocks of a pool. To be disposed of when nothing reads them any more. */
export class BlockList implements Disposable {
  readonly #take: () => Buffer;
  readonly #giveBack: (blocks: readonly Buffer[]) => void;
  #blocks: Buffer[] = [];
  #roomBytes = 0;

  constructor(take: () => Buffer, giveBack: (blocks: readonly Buffer[]) => void) {
    this.#take = take;
    this.#giveBack = giveBack;
  }

  /** Copies the chunk, whose memory is given back. */
  add(chunk: Uint8Array): void {
    this.copy(chunk);
    releaseChunk(chunk);
  }

  /** Copies bytes that stay their owner's. */
  copy(chunk: Uint8Array): void {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#roomBytes === 0) {
        this.#blocks.push(this.#take());
        this.#roomBytes = blockBytes;
      }
      const piece = rest.subarray(0, this.#roomBytes);
      this.#blocks.at(-1)?.set(piece, blockBytes - this.#roomBytes);
      this.#roomBytes -= piece.length;
      rest = rest.subarray(piece.length);
    }
  }

  /** What was added. */
  get pieces(): readonly Uint8Array[] {
    const last = this.#blocks.length - 1;
    return this.#blocks.map((block, index) =>
      index === last ? block.subarray(0, blockBytes - this.#roomBytes) : block,
    );
  }

  /** Leaves the memory to the garbage collector: something that hangs may still be reading it. */
  discard(): void {
    this.#blocks = [];
    this.#roomBytes = 0;
  }

  [Symbol.dispose](): void {
    this.#giveBack(this.#blocks);
    this.discard();
  }
}
