import { createHash, type Hash } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import { crc32 } from "node:zlib";
import { encoderChunkBytes } from "./chunk-sizes.ts";

export interface MeasureOptions {
  /** About 1.7 GB/s on the event loop where the processor has instructions for it; crc32 4.5 GB/s. */
  readonly sha256?: boolean;
  readonly crc32?: boolean;
}

/** What went by. */
export interface Measurement {
  readonly sizeBytes: number;
  /** Lower-case hex; undefined unless asked for. */
  readonly sha256: string | undefined;
  /** CRC-32 (the one of gzip) as an unsigned number; undefined unless asked for. */
  readonly crc32: number | undefined;
}

/** Measures chunks that are shown to it. */
export class Measure {
  readonly #hash: Hash | undefined;
  #crc: number | undefined;
  #sizeBytes = 0;

  constructor(options: MeasureOptions = {}) {
    this.#hash = options.sha256 === true ? createHash("sha256") : undefined;
    this.#crc = options.crc32 === true ? 0 : undefined;
  }

  /** The bytes so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.length;
    this.#hash?.update(chunk);
    if (this.#crc !== undefined) this.#crc = crc32(chunk, this.#crc);
  }

  /** The measurement so far; more may be added afterwards. */
  result(): Measurement {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash?.copy().digest("hex"), crc32: this.#crc };
  }
}

/** A stage of a pipeline that measures what passes. */
export class Meter extends Transform {
  readonly #measure: Measure;

  constructor(options: MeasureOptions = {}) {
    super({ highWaterMark: encoderChunkBytes });
    this.#measure = new Measure(options);
  }

  get sizeBytes(): number {
    return this.#measure.sizeBytes;
  }

  /** What has passed so far; complete once the pipeline has ended. */
  result(): Measurement {
    return this.#measure.result();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#measure.update(chunk);
    callback(null, chunk);
  }
}

export function createMeter(options: MeasureOptions = {}): Meter {
  return new Meter(options);
}

/** The same chunks, each shown to `measure` before it is passed on. */
export async function* measured(
  source: AsyncIterable<Uint8Array>,
  measure: Measure,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    measure.update(chunk);
    yield chunk;
  }
}
