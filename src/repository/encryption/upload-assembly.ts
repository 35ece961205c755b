import { assert } from "../../common/errors.ts";

interface Gathering {
  readonly bytes: Buffer;
  gatheredBytes: number;
  isTaken: boolean;
}

/** A part of the stored object, to be written. Whoever takes it says how that went. */
export interface AssembledPart {
  readonly index: number;
  readonly bytes: Uint8Array;
  written(): void;
  failed(): void;
}

/**
 * Puts the parts of a stored object together from pieces that come for any place of it. A part is whole when every byte of
 * it has come; the last one may be shorter. Pieces are copied, into memory that is used again: so a store gets a part in one
 * piece, and a large object costs no more buffers than a small one.
 */
export class UploadAssembly {
  readonly #partBytes: number;
  readonly #parts = new Map<number, Gathering>();
  /** Of parts that have been written. */
  readonly #free: Buffer[] = [];

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  place(position: number, bytes: Uint8Array): void {
    let at = position;
    for (let rest = bytes; rest.length > 0;) {
      const index = Math.floor(at / this.#partBytes);
      const begin = index * this.#partBytes;
      const view = rest.subarray(0, begin + this.#partBytes - at);
      const part = this.#part(index);
      part.bytes.set(view, at - begin);
      part.gatheredBytes += view.length;
      assert(part.gatheredBytes <= this.#partBytes, "no place of an upload is written twice");
      at += view.length;
      rest = rest.subarray(view.length);
    }
  }

  /** The first part that is whole and that nobody is writing; with `rest`, one that is shorter as well. */
  take(options: { readonly rest: boolean }): AssembledPart | undefined {
    const ready = [...this.#parts]
      .filter(([, part]) => !part.isTaken && (options.rest || part.gatheredBytes === this.#partBytes))
      .sort(([one], [other]) => one - other);
    const [index, part] = ready[0] ?? [];
    if (index === undefined || part === undefined) return undefined;
    part.isTaken = true;
    return {
      index,
      bytes: part.bytes.subarray(0, part.gatheredBytes),
      written: () => {
        this.#parts.delete(index);
        this.#free.push(part.bytes);
      },
      failed: () => {
        part.isTaken = false;
      },
    };
  }

  #part(index: number): Gathering {
    const known = this.#parts.get(index);
    if (known !== undefined) return known;
    const bytes = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#partBytes);
    const part = { bytes, gatheredBytes: 0, isTaken: false };
    this.#parts.set(index, part);
    return part;
  }
}
