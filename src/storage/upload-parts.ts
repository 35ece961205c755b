/** The rules on the parts of an upload, kept in one place for every adapter. */
import { setImmediate } from "node:timers/promises";
import { assert, EngineError } from "../common/errors.ts";
import { mib } from "../common/units.ts";
import type { StoreCapabilities } from "./object-store.ts";

/** Throws `usage` when the store cannot take parts of this size. */
export function checkPartBytes(partBytes: number, capabilities: StoreCapabilities): void {
  const { minPartBytes, maxPartBytes } = capabilities;
  if (Number.isInteger(partBytes) && partBytes >= minPartBytes && partBytes <= maxPartBytes) return;
  throw new EngineError(
    "usage",
    `an upload part of ${partBytes} bytes is not possible: the store takes ${minPartBytes} to ${maxPartBytes}`,
  );
}

export function byteLength(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** The bytes from `start` to `end` (exclusive) of the pieces together, without copying. */
export function slicePieces(pieces: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const slice = piece.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (slice.length > 0) slices.push(slice);
    at += piece.length;
  }
  return slices;
}

/** Bytes computed with before other work gets its turn on the event loop. */
const sliceBytes = 4 * mib;

/** Shows all bytes to `visit` in order, in slices between which other work gets its turn: for checksums of large content. */
export async function eachSlice(
  pieces: readonly Uint8Array[],
  visit: (slice: Uint8Array) => void,
): Promise<void> {
  let sinceYield = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += sliceBytes) {
      const slice = piece.subarray(at, at + sliceBytes);
      visit(slice);
      sinceYield += slice.length;
      if (sinceYield < sliceBytes) continue;
      sinceYield = 0;
      await setImmediate();
    }
  }
}

/** Records which parts an upload has, and what the adapter wants to remember of each. */
export class PartLedger<T> {
  readonly #parts = new Map<number, { readonly sizeBytes: number; readonly note: T }>();
  readonly #partBytes: number;
  readonly #maxParts: number;

  constructor(partBytes: number, maxParts: number) {
    this.#partBytes = partBytes;
    this.#maxParts = maxParts;
  }

  /** States the caller's side of the contract for one part, before anything is sent. */
  check(index: number, sizeBytes: number): void {
    assert(Number.isInteger(index) && index >= 0, `part ${index} is a whole number`);
    if (index >= this.#maxParts) {
      throw new EngineError(
        "usage",
        `the object needs more than ${this.#maxParts} parts of ${this.#partBytes} bytes`,
        {
          hint: "Use larger upload parts.",
        },
      );
    }
    assert(
      sizeBytes <= this.#partBytes,
      `part ${index} has ${sizeBytes} bytes, at most ${this.#partBytes} were agreed`,
    );
    assert(sizeBytes > 0 || index === 0, `part ${index} is not empty`);
  }

  record(index: number, sizeBytes: number, note: T): void {
    this.#parts.set(index, { sizeBytes, note });
  }

  /** The parts in order, checked to be complete: all but the last of the agreed size. */
  finish(): { readonly sizeBytes: number; readonly notes: readonly T[] } {
    const count = this.#parts.size;
    let sizeBytes = 0;
    const notes: T[] = [];
    for (let index = 0; index < count; index++) {
      const part = this.#parts.get(index);
      assert(part !== undefined, `part ${index} was written`);
      assert(
        index === count - 1 || part.sizeBytes === this.#partBytes,
        `part ${index} of ${count} has ${part.sizeBytes} bytes, but ${this.#partBytes} were agreed`,
      );
      sizeBytes += part.sizeBytes;
      notes.push(part.note);
    }
    return { sizeBytes, notes };
  }
}
