import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "../../common/abort.ts";
import { releaseChunk } from "../../common/release-chunk.ts";
import { mib } from "../../common/units.ts";
import type { CallOptions } from "../../storage/object-store.ts";
import { byteLength } from "../../storage/upload-parts.ts";
import type { ObjectPrefix } from "./object-header.ts";
import { chunkBytes, chunkCount, positionOfChunk, sealChunk, storedBytesOf } from "./payload.ts";

/** What is encrypted before others get their turn: about a millisecond. */
const turnBytes = mib;

/** Lets others have their turn when enough was done since the last time. */
export class Turns {
  #bytes = 0;

  async spend(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < turnBytes) return;
    this.#bytes = 0;
    await setImmediate();
  }
}

/** A stretch of content that lies in one chunk. */
export interface ChunkSpan {
  readonly chunk: number;
  /** Where in the chunk it begins. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Views of what was given. */
  readonly pieces: readonly Uint8Array[];
}

/** Cuts content that begins at `startByte` where chunks end. Nothing is copied. */
export function* cutIntoChunks(startByte: number, pieces: readonly Uint8Array[]): Generator<ChunkSpan> {
  let position = startByte;
  let span: Uint8Array[] = [];
  const end = (): ChunkSpan => {
    const lengthBytes = byteLength(span);
    const begin = position - lengthBytes;
    const chunk = Math.floor(begin / chunkBytes);
    return { chunk, offset: begin - chunk * chunkBytes, lengthBytes, pieces: span };
  };
  for (const piece of pieces) {
    for (let rest = piece; rest.length > 0;) {
      const view = rest.subarray(0, chunkBytes - (position % chunkBytes));
      span.push(view);
      position += view.length;
      rest = rest.subarray(view.length);
      if (position % chunkBytes !== 0) continue;
      yield end();
      span = [];
    }
  }
  if (span.length > 0) yield end();
}

/** A whole object from its content: what is to be stored, in one piece, which can be sent again as it is. */
export async function sealContent(
  prefix: ObjectPrefix,
  pieces: readonly Uint8Array[],
  { signal }: CallOptions,
): Promise<Buffer> {
  const turns = new Turns();
  const plainBytes = byteLength(pieces);
  const last = chunkCount(plainBytes) - 1;
  const sealed = Buffer.allocUnsafeSlow(storedBytesOf(plainBytes));
  sealed.set(prefix.bytes);
  const seal = (index: number, content: readonly Uint8Array[]): void => {
    let position = positionOfChunk(index);
    for (const piece of sealChunk(prefix.payloadKey, { index, isLast: index === last }, content)) {
      sealed.set(piece, position);
      position += piece.length;
      releaseChunk(piece);
    }
  };
  if (plainBytes === 0) seal(0, []);
  for (const { chunk, lengthBytes, pieces: content } of cutIntoChunks(0, pieces)) {
    throwIfAborted(signal);
    seal(chunk, content);
    await turns.spend(lengthBytes);
  }
  return sealed;
}
