import { assert } from "../../common/errors.ts";

interface Placed {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Gathering {
  readonly pieces: Placed[];
  gatheredBytes: number;
  isTaken: boolean;
}

/** A part of the stored object, to be written. Whoever takes it says how that went. */
export interface AssembledPart {
  readonly index: number;
  readonly pieces: readonly Uint8Array[];
  written(): void;
  failed(): void;
}

/**
 * Puts the parts of a stored object together from pieces that come for any place of it. A part is whole when every byte of
 * it has come; the last one may be shorter.
 */
export class UploadAssembly {
  readonly #partBytes: number;
  readonly #parts = new Map<number, Gathering>();

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  /** Takes bytes for a place. They are kept, not copied. */
  place(position: number, bytes: Uint8Array): void {
    let at = position;
    for (let rest = bytes; rest.length > 0;) {
      const index = Math.floor(at / this.#partBytes);
      const view = rest.subarray(0, (index + 1) * this.#partBytes - at);
      const part = this.#parts.get(index) ?? { pieces: [], gatheredBytes: 0, isTaken: false };
      part.pieces.push({ at, bytes: view });
      part.gatheredBytes += view.length;
      assert(part.gatheredBytes <= this.#partBytes, "no place of an upload is written twice");
      this.#parts.set(index, part);
      at += view.length;
      rest = rest.subarray(view.length);
    }
  }

  /** The first part that is whole and that nobody is writing; with `rest`, one that is shorter as well. */
  take(options: { readonly rest: boolean }): AssembledPart | undefined {
    const ready = [...this.#parts]
      .filter(([, { isTaken, gatheredBytes }]) =>
        isTaken ? false : options.rest || gatheredBytes === this.#partBytes,
      )
      .sort(([one], [other]) => one - other);
    const [index, part] = ready[0] ?? [];
    if (index === undefined || part === undefined) return undefined;
    part.isTaken = true;
    return {
      index,
      pieces: part.pieces.toSorted((one, other) => one.at - other.at).map(({ bytes }) => bytes),
      written: () => void this.#parts.delete(index),
      failed: () => {
        part.isTaken = false;
      },
    };
  }
}
