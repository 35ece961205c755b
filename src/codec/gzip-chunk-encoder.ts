import { availableParallelism } from "node:os";
import { constants, crc32, DeflateRaw } from "node:zlib";
import { mib } from "../common/units.ts";
import type { EncoderOptions } from "./codec.ts";
import { StreamWorkers } from "./stream-worker.ts";

/**
 * Contexts that compress chunks for gzip members, several at the same time. Each chunk becomes whole DEFLATE blocks that
 * begin and end at a byte and refer to nothing before them (a "full flush"), so those of different contexts can follow
 * each other in one member, as readers of one member (Barman's) need it. Chunks are to be large: each costs some bytes, and
 * what it could have referred to (1 % more for tables, with a MiB).
 */
export class GzipChunkEncoder implements Disposable {
  readonly #workers: StreamWorkers;

  constructor(options: EncoderOptions & { readonly concurrency?: number } = {}) {
    const { level = constants.Z_BEST_SPEED, concurrency = availableParallelism() + 1 } = options;
    this.#workers = new StreamWorkers(
      concurrency,
      () => new DeflateRaw({ level, chunkSize: mib, flush: constants.Z_FULL_FLUSH }),
    );
  }

  /** A new member; any number may be written at the same time. */
  startMember(): GzipMember {
    return new GzipMember(this.#workers);
  }

  /** To be called when nothing is being encoded. */
  [Symbol.dispose](): void {
    this.#workers[Symbol.dispose]();
  }
}

/** One member (RFC 1952, section 2.3): the head, what `encode` gave for each chunk in order, the tail. */
export class GzipMember {
  readonly #workers: StreamWorkers;
  #crc = 0;
  #bytes = 0;

  constructor(workers: StreamWorkers) {
    this.#workers = workers;
  }

  /** Deflate, no name, no time, the fastest algorithm, on Unix. */
  get head(): Uint8Array {
    return Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3]);
  }

  /** To be called in the order of the chunks. A chunk is done with when this settles. */
  async encode(chunk: Uint8Array): Promise<readonly Uint8Array[]> {
    this.#crc = crc32(chunk, this.#crc);
    this.#bytes += chunk.length;
    const pieces: Uint8Array[] = [];
    await this.#workers.run([chunk], (piece) => pieces.push(piece));
    return pieces;
  }

  /** After the last chunk: an empty last block, checksum and size. */
  get tail(): Uint8Array {
    const tail = Buffer.alloc(10);
    // Last block, fixed codes, end of block (RFC 1951, section 3.2.6).
    tail[0] = 0x03;
    tail.writeUInt32LE(this.#crc, 2);
    tail.writeUInt32LE(this.#bytes % 2 ** 32, 6);
    return tail;
  }
}
