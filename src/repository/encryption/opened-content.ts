import { throwIfAborted } from "../../common/abort.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { releaseChunk } from "../../common/release-chunk.ts";
import { ByteSource } from "../../codec/byte-source.ts";
import { corruptData } from "../../codec/corrupt.ts";
import { createBody, discardBody } from "../../storage/object-body.ts";
import type {
  ByteRange,
  CallOptions,
  ObjectInfo,
  ObjectStore,
  OpenObject,
} from "../../storage/object-store.ts";
import { reopen } from "../../storage/wrappers/reread.ts";
import { prefixBytes } from "./object-header.ts";
import {
  chunkBytes,
  chunkCount,
  openChunk,
  plainBytesOf,
  positionOfChunk,
  sealedChunkBytes,
  storedBytesOf,
} from "./payload.ts";

/** Chunks that are handed on as one: small pieces cost decoders more than half of their speed. */
const chunksAtOnce = 4;

const format = "encrypted";

export interface OpenContentOptions extends CallOptions {
  readonly range?: ByteRange;
  /** Facts about the object to whoever sees its content. */
  readonly plainInfo: (info: ObjectInfo) => ObjectInfo;
  /** Gives the key of the content from the first bytes of the object. Throws when there is none. */
  readonly payloadKeyOf: (prefix: Buffer) => Promise<Uint8Array>;
}

/**
 * Opens a stored object for reading its content, or gives undefined when there is none. Only the chunks of the range are
 * fetched, with those bytes of the header; nothing of a chunk is handed on before all of it was found to be authentic.
 */
export async function openContent(
  store: ObjectStore,
  storedKey: string,
  options: OpenContentOptions,
): Promise<OpenObject | undefined> {
  const { range = { startByte: 0 }, plainInfo, payloadKeyOf } = options;
  const callOptions: CallOptions = options.signal === undefined ? {} : { signal: options.signal };
  const firstChunk = Math.floor(range.startByte / chunkBytes);
  // Where the content begins soon, one request gets the header and the content.
  const isNear = firstChunk === 0;
  const lastChunkOfRange = range.endByte === undefined ? undefined : chunkCount(range.endByte);
  const untilChunk = lastChunkOfRange === undefined ? undefined : positionOfChunk(lastChunkOfRange);
  const opened = await store.get(storedKey, {
    ...callOptions,
    ...rangeOf(0, isNear ? untilChunk : prefixBytes),
  });
  if (opened === undefined) return undefined;
  const source = new ByteSource(opened.body, format);
  try {
    const info = plainInfo(opened.info);
    const plainBytes = plainBytesOf(opened.info.sizeBytes);
    if (plainBytes === undefined) throw corruptData(format, "its size is not one that Tidemark writes");
    if (range.startByte > plainBytes) {
      throw corruptData(format, `it has only ${plainBytes} bytes, and was read from byte ${range.startByte}`);
    }
    const payloadKey = await payloadKeyOf(Buffer.from(await source.need(prefixBytes)));
    const endByte = Math.min(range.endByte ?? plainBytes, plainBytes);
    // An empty content has a chunk too, which says that nothing was cut off.
    const isEmptyRange = range.startByte >= endByte && plainBytes > 0;
    let content = source;
    if (!isNear || isEmptyRange) {
      await source.close();
      if (isEmptyRange)
        return { info, body: createBody({ read: async () => undefined, close: async () => undefined }) };
      const wanted = rangeOf(positionOfChunk(firstChunk), untilChunk).range;
      content = new ByteSource(await reopen(store, opened.info, wanted, callOptions), format);
    }
    const body = contentBody(content, {
      ...callOptions,
      payloadKey,
      plainBytes,
      startByte: range.startByte,
      endByte,
      name: `"${info.key}" in ${store.url}`,
    });
    return { info, body };
  } catch (error) {
    await discardBody(opened);
    throw named(`"${plainInfo(opened.info).key}" in ${store.url}`, error);
  }
}

interface ContentBody extends CallOptions {
  readonly payloadKey: Uint8Array;
  readonly plainBytes: number;
  readonly startByte: number;
  readonly endByte: number;
  /** Of the object, for messages. */
  readonly name: string;
}

function contentBody(source: ByteSource, options: ContentBody): AsyncIterable<Uint8Array> {
  const { payloadKey, plainBytes, startByte, endByte, name, signal } = options;
  const lastChunk = chunkCount(plainBytes) - 1;
  const untilChunk = Math.min(chunkCount(endByte), lastChunk + 1);
  let next = Math.floor(startByte / chunkBytes);
  const openNext = async (): Promise<Uint8Array | undefined> => {
    const index = next;
    if (index >= untilChunk) return undefined;
    next++;
    const isLast = index === lastChunk;
    const sealedBytes = isLast ? storedBytesOf(plainBytes) - positionOfChunk(index) : sealedChunkBytes;
    const opened = openChunk(payloadKey, { index, isLast }, await source.need(sealedBytes));
    const from = Math.max(0, startByte - index * chunkBytes);
    return opened.subarray(from, Math.max(from, endByte - index * chunkBytes));
  };
  return createBody({
    read: async () => {
      throwIfAborted(signal);
      const pieces: Uint8Array[] = [];
      try {
        while (pieces.length < chunksAtOnce) {
          const piece = await openNext();
          if (piece === undefined) break;
          pieces.push(piece);
        }
      } catch (error) {
        throw named(name, error);
      }
      throwIfAborted(signal);
      const [only, ...more] = pieces;
      const bytes = more.length === 0 ? only : Buffer.concat(pieces);
      if (more.length > 0) for (const piece of pieces) releaseChunk(piece);
      return bytes === undefined || bytes.length === 0 ? undefined : bytes;
    },
    close: async () => source.close(),
  });
}

/** The codec does not know which object it reads. */
function named(name: string, error: unknown): unknown {
  if (!isEngineError(error, "object-corrupt") || error.message.startsWith("could not ")) return error;
  return new EngineError("object-corrupt", `could not read ${name}: ${error.message}`, {
    cause: error.cause,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

function rangeOf(startByte: number, endByte: number | undefined): { readonly range: ByteRange } {
  return { range: { startByte, ...(endByte === undefined ? {} : { endByte }) } };
}
