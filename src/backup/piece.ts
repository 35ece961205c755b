import { assert } from "../common/errors.ts";

/** Memory for pieces of uploads, used again and again: by every part of a backup. */
export class PieceMemory {
  readonly #idle = new Map<number, Buffer[]>();

  take(sizeBytes: number): Buffer {
    return this.#idle.get(sizeBytes)?.pop() ?? Buffer.allocUnsafeSlow(sizeBytes);
  }

  giveBack(buffer: Buffer): void {
    const idle = this.#idle.get(buffer.length);
    if (idle === undefined) this.#idle.set(buffer.length, [buffer]);
    else idle.push(buffer);
  }
}

/** Encoded bytes on their way to several repositories: the memory is free again when the last one has them. */
export class Piece {
  readonly bytes: Buffer;
  readonly #buffer: Buffer;
  readonly #memory: PieceMemory;
  #users: number;
  #isAbandoned = false;

  constructor(
    memory: PieceMemory,
    buffer: Buffer,
    given: { readonly length: number; readonly users: number },
  ) {
    this.#memory = memory;
    this.#buffer = buffer;
    this.bytes = buffer.subarray(0, given.length);
    this.#users = given.users;
  }

  /** To be called once by each user. After `abandoned` the memory is left to the garbage collector: a call that hangs may still read it. */
  release(how: "done" | "abandoned"): void {
    assert(this.#users > 0, "a piece is released once by each user");
    this.#users--;
    if (how === "abandoned") this.#isAbandoned = true;
    if (this.#users === 0 && !this.#isAbandoned) this.#memory.giveBack(this.#buffer);
  }
}
