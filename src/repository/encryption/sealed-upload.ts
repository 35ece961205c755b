import { throwIfAborted } from "../../common/abort.ts";
import { assert } from "../../common/errors.ts";
import { releaseChunk } from "../../common/release-chunk.ts";
import type { CallOptions, ObjectInfo, ObjectUpload, StoreCapabilities } from "../../storage/object-store.ts";
import { byteLength, PartLedger } from "../../storage/upload-parts.ts";
import type { ObjectPrefix } from "./object-header.ts";
import { chunkBytes, positionOfChunk, sealChunk, sealedChunkBytes } from "./payload.ts";
import { cutIntoChunks, Turns } from "./seal-content.ts";
import { UploadAssembly } from "./upload-assembly.ts";

/**
 * What uploads through encryption can do. Their parts become as many stored parts, each a little larger, and one more at
 * the end for the header, which pushes everything back.
 */
export function sealedCapabilities(inner: StoreCapabilities): StoreCapabilities {
  const maxPartBytes = Math.floor(inner.maxPartBytes / sealedChunkBytes) * chunkBytes;
  return {
    ...inner,
    maxPartBytes,
    maxParts: inner.maxParts - 1,
    preferredPartBytes: Math.min(inner.preferredPartBytes, maxPartBytes),
  };
}

/** Size of the stored parts, all but the last, for content in parts of this size. */
export function sealedPartBytes(partBytes: number): number {
  return Math.ceil(partBytes / chunkBytes) * sealedChunkBytes;
}

interface Edge {
  readonly bytes: Buffer;
  filledBytes: number;
}

export interface SealedUploadOptions {
  readonly inner: ObjectUpload;
  readonly prefix: ObjectPrefix;
  /** Of the content. */
  readonly partBytes: number;
  readonly maxParts: number;
  /** What the stored object's facts are to whoever sees the content. */
  readonly plainInfo: (info: ObjectInfo) => ObjectInfo;
}

/**
 * Encrypts an upload on its way. Chunks do not end where parts do, and the last chunk is encrypted differently from the
 * others, so the chunk at the end of a part waits for the next part or for `complete`. Memory: a stored part that is
 * gathered, besides those that are on their way, and a chunk for each end of a part.
 */
export class SealedUpload implements ObjectUpload {
  readonly #options: SealedUploadOptions;
  readonly #assembly: UploadAssembly;
  readonly #ledger: PartLedger<undefined>;
  readonly #sealed = new Set<number>();
  /** Chunks that lie in two parts, or might be the last one. */
  readonly #edges = new Map<number, Edge>();
  readonly #turns = new Turns();
  /** Where the content ends, as far as it is known. */
  #endByte = 0;
  #isWhole = false;
  #completed: ObjectInfo | undefined;

  constructor(options: SealedUploadOptions) {
    this.#options = options;
    this.#assembly = new UploadAssembly(sealedPartBytes(options.partBytes));
    this.#ledger = new PartLedger(options.partBytes, options.maxParts);
    this.#assembly.place(0, options.prefix.bytes);
  }

  async writePart(index: number, pieces: readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const sizeBytes = byteLength(pieces);
    this.#ledger.check(index, sizeBytes);
    // The same bytes give the same: of a part that comes again there is nothing new to encrypt.
    if (!this.#sealed.has(index)) {
      this.#sealed.add(index);
      await this.#seal(index * this.#options.partBytes, pieces, sizeBytes);
    }
    await this.#writeReady(false, options);
    this.#ledger.record(index, sizeBytes, undefined);
  }

  async complete(options: CallOptions = {}): Promise<ObjectInfo> {
    if (this.#completed !== undefined) return this.#completed;
    throwIfAborted(options.signal);
    this.#ledger.finish();
    this.#sealLast();
    await this.#writeReady(true, options);
    this.#completed = this.#options.plainInfo(await this.#options.inner.complete(options));
    return this.#completed;
  }

  async abort(options: CallOptions = {}): Promise<void> {
    await this.#options.inner.abort(options);
  }

  async #seal(startByte: number, pieces: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    const endByte = startByte + sizeBytes;
    this.#endByte = Math.max(this.#endByte, endByte);
    for (const { chunk, offset, lengthBytes, pieces: content } of cutIntoChunks(startByte, pieces)) {
      const isInside = lengthBytes === chunkBytes && (chunk + 1) * chunkBytes < endByte;
      if (isInside) this.#place(chunk, content, false);
      else this.#keep(chunk, offset, content);
      await this.#turns.spend(lengthBytes);
    }
    for (const [chunk, edge] of this.#edges) {
      const isInside = (chunk + 1) * chunkBytes < this.#endByte;
      if (!isInside || edge.filledBytes < chunkBytes) continue;
      this.#edges.delete(chunk);
      this.#place(chunk, [edge.bytes], false);
    }
  }

  #keep(chunk: number, offset: number, content: readonly Uint8Array[]): void {
    const edge = this.#edges.get(chunk) ?? { bytes: Buffer.allocUnsafeSlow(chunkBytes), filledBytes: 0 };
    this.#edges.set(chunk, edge);
    let at = offset;
    for (const piece of content) {
      edge.bytes.set(piece, at);
      at += piece.length;
    }
    edge.filledBytes += at - offset;
  }

  #sealLast(): void {
    if (this.#isWhole) return;
    this.#isWhole = true;
    const [[chunk, edge] = [0, undefined], ...others] = this.#edges;
    assert(others.length === 0, "only the last chunk of an upload is left");
    this.#place(chunk, edge === undefined ? [] : [edge.bytes.subarray(0, edge.filledBytes)], true);
    this.#edges.clear();
  }

  #place(index: number, content: readonly Uint8Array[], isLast: boolean): void {
    let position = positionOfChunk(index);
    for (const piece of sealChunk(this.#options.prefix.payloadKey, { index, isLast }, content)) {
      this.#assembly.place(position, piece);
      position += piece.length;
      releaseChunk(piece);
    }
  }

  async #writeReady(rest: boolean, options: CallOptions): Promise<void> {
    for (;;) {
      const part = this.#assembly.take({ rest });
      if (part === undefined) return;
      try {
        await this.#options.inner.writePart(part.index, [part.bytes], options);
      } catch (error) {
        part.failed();
        throw error;
      }
      part.written();
    }
  }
}
