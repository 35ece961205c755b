import { pipeline } from "node:stream";
import { ZstdDecompress } from "node:zlib";
import { throwIfAborted } from "../common/abort.ts";
import { assert } from "../common/errors.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import { ByteSource } from "./byte-source.ts";
import { decoderStreamOptions } from "./chunk-sizes.ts";
import { corruptData, nativeDecodeError } from "./corrupt.ts";
import { StreamWorkers } from "./stream-worker.ts";
import { frameContentBytes } from "./zstd-frame-encoder.ts";
import { ZstdFrames } from "./zstd-frames.ts";
import { zstd } from "./zstd.ts";

/** A frame of what `ZstdFrameEncoder` writes has hardly more than its content, which it says. */
const longestFrameBytes = 2 * frameContentBytes;

/** Frames of one source that are decoded or wait for the reader: memory, of a MiB each. */
const mostAhead = 8;

/**
 * Decodes Zstandard as `zstd.createDecoder` does, but several frames at the same time where they are as small as ours.
 * From the first larger one on (other writers make one for all) it goes on with one decoder.
 */
export class ZstdFrameDecoder implements Disposable {
  readonly #workers: StreamWorkers;
  readonly #ahead: number;

  /** `concurrency` frames are decoded at a time, of all sources together. */
  constructor({ concurrency }: { readonly concurrency: number }) {
    this.#workers = new StreamWorkers(concurrency, () => new ZstdDecompress(decoderStreamOptions));
    // Those that are done wait for the reader while the others are decoded.
    this.#ahead = Math.min(2 * concurrency, mostAhead);
  }

  /**
   * Decodes one source, whose chunks are the decoder's: they may be empty afterwards. Throws as the codec does. A signal
   * is looked at between two pieces, because a pipeline of functions alone does not.
   */
  async *decode(
    source: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const cutter = new FrameCutter(source);
    const pending: Promise<readonly Uint8Array[]>[] = [];
    // What is in work stays in the list until it is done, so that nobody leaves before.
    const drain = async function* (downTo: number) {
      for (let next = pending[0]; next !== undefined && pending.length > downTo; next = pending[0]) {
        const pieces = await next;
        void pending.shift();
        for (const piece of pieces) {
          throwIfAborted(signal);
          yield piece;
        }
      }
    };
    try {
      for (;;) {
        const frame = await cutter.next();
        if (frame === undefined) break;
        if (!frame.isSmall) {
          yield* drain(0);
          yield* decodeByOne(frame.pieces, cutter, signal);
          return;
        }
        const decoded = this.#decodeFrame(frame);
        // Reported when its turn comes.
        decoded.catch(() => undefined);
        pending.push(decoded);
        yield* drain(this.#ahead - 1);
      }
      yield* drain(0);
    } finally {
      await Promise.allSettled(pending);
      await cutter.close();
    }
  }

  async #decodeFrame({ pieces, contentBytes }: SmallFrame): Promise<readonly Uint8Array[]> {
    const content: Uint8Array[] = [];
    let gotBytes = 0;
    try {
      await this.#workers.run(pieces, (chunk) => {
        gotBytes += chunk.length;
        // libzstd holds a frame to its word at its end only.
        if (gotBytes <= contentBytes) content.push(chunk);
        else releaseChunk(chunk);
      });
    } catch (error) {
      throw nativeDecodeError("zstd", error instanceof Error ? error : new Error(String(error)));
    }
    pieces.forEach(releaseChunk);
    if (gotBytes !== contentBytes) {
      throw corruptData("zstd", `a frame that says it has ${contentBytes} bytes has ${gotBytes}`);
    }
    return content;
  }

  /** To be called when nothing is being decoded. */
  [Symbol.dispose](): void {
    this.#workers[Symbol.dispose]();
  }
}

interface SmallFrame {
  readonly isSmall: true;
  readonly pieces: readonly Uint8Array[];
  readonly contentBytes: number;
}

/** One that is larger, or may be; only its beginning, and perhaps more of it. */
interface LargeFrame {
  readonly isSmall: false;
  readonly pieces: readonly Uint8Array[];
}

class FrameCutter {
  readonly #bytes: ByteSource;
  readonly #frames = new ZstdFrames();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#bytes = new ByteSource(source, "zstd");
  }

  /** The next frame; undefined at the end of the source, which throws `object-corrupt` unless it may end there. */
  async next(): Promise<SmallFrame | LargeFrame | undefined> {
    const pieces: Uint8Array[] = [];
    for (let bytes = 0; bytes <= longestFrameBytes;) {
      if (!(await this.#bytes.fill())) {
        this.#frames.assertComplete();
        return undefined;
      }
      const length = this.#frames.frameEnd(this.#bytes.available, 0);
      const piece = this.#bytes.takeAvailable(length);
      assert(piece?.length === length, "what was looked at can be taken");
      pieces.push(piece);
      bytes += length;
      if (!this.#frames.isBetween) continue;
      const { contentBytes } = this.#frames;
      if (contentBytes === undefined || contentBytes > frameContentBytes) break;
      return { isSmall: true, pieces, contentBytes };
    }
    return { isSmall: false, pieces };
  }

  /** Everything behind what `next` has given. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    while (await this.#bytes.fill()) {
      const piece = this.#bytes.takeAvailable(Number.MAX_SAFE_INTEGER);
      if (piece !== undefined) yield piece;
    }
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }
}

async function* decodeByOne(
  begun: readonly Uint8Array[],
  cutter: FrameCutter,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = async function* () {
    yield* begun;
    yield* cutter.rest();
  };
  const decoder = zstd.createDecoder();
  // Its errors come out of the decoder too.
  pipeline(source, decoder, () => undefined);
  for await (const piece of decoder as AsyncIterable<Uint8Array>) {
    throwIfAborted(signal);
    yield piece;
  }
}
