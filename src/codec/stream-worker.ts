import type { Transform } from "node:stream";

/**
 * A native compression stream that does one job after the other. Its context (hash tables, window) is made once. Only for
 * streams that give out everything that an input leads to before the callback of its write, as those with a flush per
 * write do.
 */
export class StreamWorker {
  readonly #stream: Transform;
  #take: (chunk: Buffer) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(stream: Transform) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      try {
        this.#take(chunk);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    stream.on("error", (error) => this.#fail(error));
  }

  /**
   * Puts the pieces in and hands what comes out to `take`, whose it is then. The pieces are done with when this settles.
   * After a failure the worker cannot be used any more. Calls are not to overlap.
   */
  async run(pieces: readonly Uint8Array[], take: (chunk: Buffer) => void): Promise<void> {
    this.#take = take;
    for (const piece of pieces) {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        this.#stream.write(piece, (error) => (error ? reject(error) : resolve()));
      });
    }
    // What a stream pushed just now may still be waiting in it.
    while (this.#stream.read() !== null);
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** A few equal workers, made when they are first needed, for jobs that may come from anywhere in any number. */
export class StreamWorkers implements Disposable {
  readonly #limit: number;
  readonly #create: () => Transform;
  readonly #idle: StreamWorker[] = [];
  readonly #all = new Set<StreamWorker>();
  readonly #waiting: ((worker: StreamWorker | undefined) => void)[] = [];

  constructor(limit: number, create: () => Transform) {
    this.#limit = limit;
    this.#create = create;
  }

  /** As `StreamWorker.run`, by whichever worker is free first; first come, first served. */
  async run(pieces: readonly Uint8Array[], take: (chunk: Buffer) => void): Promise<void> {
    const worker = await this.#take();
    try {
      await worker.run(pieces, take);
    } catch (error) {
      // Another one takes its place when it is needed.
      worker.close();
      this.#all.delete(worker);
      this.#wake();
      throw error;
    }
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(worker);
    else next(worker);
  }

  async #take(): Promise<StreamWorker> {
    for (;;) {
      const worker = this.#idle.pop() ?? (this.#all.size < this.#limit ? this.#add() : undefined);
      if (worker !== undefined) return worker;
      const given = await new Promise<StreamWorker | undefined>((resolve) => this.#waiting.push(resolve));
      if (given !== undefined) return given;
    }
  }

  #add(): StreamWorker {
    const worker = new StreamWorker(this.#create());
    this.#all.add(worker);
    return worker;
  }

  /** Lets the one who has waited longest look again. */
  #wake(): void {
    this.#waiting.shift()?.(undefined);
  }

  /** Closes those that have nothing to do; others are made when they are needed. */
  trim(): void {
    for (const worker of this.#idle.splice(0)) {
      worker.close();
      this.#all.delete(worker);
    }
  }

  /** To be called when no job is running. */
  [Symbol.dispose](): void {
    for (const worker of this.#all) worker.close();
  }
}
