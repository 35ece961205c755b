import type { ObjectUpload } from "../storage/object-store.ts";
import type { Destination, PendingUpload } from "./destination.ts";
import type { Piece } from "./piece.ts";

export interface TargetUploadOptions {
  readonly destination: Destination;
  readonly key: string;
  /** Size of every piece but the last; the store must take it. */
  readonly partBytes: number;
  /** How many pieces may be on their way at a time. */
  readonly maxInFlight: number;
  /** The repository failed. */
  readonly fail: (destination: Destination, error: unknown) => void;
  /** A piece has arrived, or will not any more. */
  readonly changed: () => void;
}

/**
 * One object on its way into one repository, piece by piece, as fast as that one takes it. What fails is told to `fail`, and
 * nothing is sent any more; no method throws.
 */
export class TargetUpload implements PendingUpload {
  readonly destination: Destination;
  readonly #options: TargetUploadOptions;
  readonly #queue: { readonly index: number; readonly piece: Piece }[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #upload: Promise<ObjectUpload> | undefined;
  #nextIndex = 0;

  constructor(options: TargetUploadOptions) {
    this.#options = options;
    this.destination = options.destination;
    this.destination.uploads.add(this);
  }

  /** The next piece would be on its way at once. */
  get isReady(): boolean {
    return this.#queue.length + this.#inFlight.size < this.#options.maxInFlight;
  }

  /** Takes the next piece, and releases it when it has arrived. */
  send(piece: Piece): void {
    this.destination.behindBytes += piece.bytes.length;
    this.#queue.push({ index: this.#nextIndex++, piece });
    this.#pump();
  }

  /** The whole object is one piece: it goes with one call. */
  async put(piece: Piece): Promise<void> {
    const { key } = this.#options;
    const { repository, signal } = this.destination;
    this.destination.behindBytes += piece.bytes.length;
    await this.#carry(piece, async () => repository.store.put(key, [piece.bytes], { signal }));
    this.destination.uploads.delete(this);
  }

  /** After the last piece: makes the object visible, durably. */
  async complete(): Promise<void> {
    const { signal, uploads } = this.destination;
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    if (signal.aborted) return;
    try {
      await (await this.#upload)?.complete({ signal });
      uploads.delete(this);
    } catch (error) {
      this.#options.fail(this.destination, error);
    }
  }

  /** Drops what was sent so far; best effort, because a crash would leave the same. */
  async abort(): Promise<void> {
    this.#abandonQueue();
    await Promise.allSettled(this.#inFlight);
    const upload = await this.#upload?.catch(() => undefined);
    await upload?.abort().catch(() => undefined);
    this.destination.uploads.delete(this);
  }

  #pump(): void {
    if (this.destination.signal.aborted) this.#abandonQueue();
    while (this.#inFlight.size < this.#options.maxInFlight) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const sent = this.#carry(next.piece, async () => this.#sendPart(next.index, next.piece)).then(() => {
        this.#inFlight.delete(sent);
        this.#pump();
        this.#options.changed();
      });
      this.#inFlight.add(sent);
    }
  }

  async #sendPart(index: number, { bytes }: Piece): Promise<void> {
    const { key, partBytes } = this.#options;
    const { repository, signal } = this.destination;
    this.#upload ??= repository.store.startUpload(key, { partBytes, signal });
    await (await this.#upload).writePart(index, [bytes], { signal });
  }

  /** Never rejects. */
  async #carry(piece: Piece, send: () => Promise<unknown>): Promise<void> {
    try {
      await send();
      piece.release("done");
    } catch (error) {
      piece.release("abandoned");
      this.#options.fail(this.destination, error);
    } finally {
      this.destination.behindBytes -= piece.bytes.length;
    }
  }

  #abandonQueue(): void {
    for (const { piece } of this.#queue.splice(0)) {
      this.destination.behindBytes -= piece.bytes.length;
      piece.release("done");
    }
  }
}
