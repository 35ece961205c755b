import { Duplex } from "node:stream";
import { assert } from "../common/errors.ts";
import { decoderChunkBytes } from "./chunk-sizes.ts";

/** Bytes in, bytes out. It reads its source to the end, and holds a bounded part of it. */
export type ByteTransform = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

type WriteCallback = (error?: Error | null) => void;

/** A chunk on its way in, with the call that lets the writer go on; without a chunk: the end. */
interface Input {
  readonly chunk: Uint8Array | undefined;
  readonly callback: WriteCallback;
}

/**
 * A generator as a stage of a pipeline. A chunk counts as written when the generator asks for the next one, and the
 * generator runs only while there is room behind it, so at most a chunk waits on either side.
 */
export class GeneratorStage extends Duplex {
  readonly #output: AsyncIterator<Uint8Array>;
  #input: Input | undefined;
  #wake: (() => void) | undefined;
  #running = false;
  /** Whether more was asked for since the last push. */
  #wanted = false;
  #inputEnded = false;

  constructor(transform: ByteTransform) {
    super({ readableHighWaterMark: decoderChunkBytes, writableHighWaterMark: decoderChunkBytes });
    this.#output = transform(this.#source())[Symbol.asyncIterator]();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#offer({ chunk, callback });
  }

  override _final(callback: WriteCallback): void {
    this.#offer({ chunk: undefined, callback });
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#running) return;
    this.#running = true;
    // Never rejects: a failure of the generator destroys the stream.
    void this.#run();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#input = undefined;
    this.#wake?.();
    if (!this.#running) void this.#close();
    callback(error);
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#output.next();
        if (this.destroyed) return void this.#close();
        if (next.done === true) {
          assert(this.#inputEnded, "a stage ended before its input");
          this.push(null);
          return;
        }
        if (next.value.length === 0) continue;
        this.#wanted = false;
        // The push itself may ask for more.
        if (!this.push(next.value) && !this.#wanted) {
          this.#running = false;
          return;
        }
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Lets a generator that is in the midst of its work release what it holds. */
  async #close(): Promise<void> {
    try {
      await this.#output.return?.();
    } catch {
      // The stream has been destroyed, with another error or none: there is nobody to tell.
    }
  }

  #offer(input: Input): void {
    this.#input = input;
    this.#wake?.();
  }

  async *#source(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      while (this.#input === undefined && !this.destroyed) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const input = this.#input;
      this.#input = undefined;
      this.#wake = undefined;
      // A stage that was destroyed ends its generator by an error that nobody sees, so that it releases what it holds.
      if (input === undefined) throw new Error("the stage was closed");
      if (input.chunk === undefined) {
        this.#inputEnded = true;
        input.callback();
        return;
      }
      yield input.chunk;
      input.callback();
    }
  }
}
