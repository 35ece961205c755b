import { availableParallelism } from "node:os";
import { mib } from "../common/units.ts";

/** The largest WAL file that is read whole; larger ones pass through in parts, so that memory stays bounded. */
export const wholeFileLimitBytes = 16 * mib;

/** A buffer on loan; giving it back twice is fine. */
export interface BufferLease extends Disposable {
  readonly bytes: Buffer;
  /** Gives back the turn, but not the memory: something that hangs may still be reading it. */
  discard(): void;
}

/**
 * A fixed number of reused buffers for WAL files being read and compressed: it bounds both memory and the number of
 * compressions at a time. Fresh 16 MiB buffers would be collected late, and resident memory would grow to a multiple.
 */
export class ReadBuffers {
  readonly #idle: Buffer[] = [];
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** Default: one per processor, two to four. */
  constructor(count = Math.min(4, Math.max(2, availableParallelism()))) {
    this.#free = count;
  }

  /** Waits for a turn; the buffer has exactly `sizeBytes` (at most `wholeFileLimitBytes`) and holds old bytes. */
  async lease(sizeBytes: number): Promise<BufferLease> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const buffer = this.#take(sizeBytes);
    let returned = false;
    const giveBack = (isReusable: boolean): void => {
      if (returned) return;
      returned = true;
      if (isReusable) this.#idle.push(buffer);
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
    return {
      bytes: buffer.subarray(0, sizeBytes),
      discard: () => giveBack(false),
      [Symbol.dispose]: () => giveBack(true),
    };
  }

  /** Lets go of the memory of buffers that nobody uses. */
  trim(): void {
    this.#idle.length = 0;
  }

  #take(sizeBytes: number): Buffer {
    const idle = this.#idle.pop();
    if (idle !== undefined && idle.length >= sizeBytes) return idle;
    return Buffer.allocUnsafeSlow(sizeBytes);
  }
}
