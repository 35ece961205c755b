/** Looking at blobs, opening them, writing them whole and removing them. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { BlobDownloadResponseParsed, HttpRequestBody, Tags } from "@azure/storage-blob";
import { mapConcurrent } from "../../common/concurrency.ts";
import type { ByteRange, CallOptions, ObjectInfo, OpenObject, WriteOptions } from "../object-store.ts";
import { openNothing, streamBody, totalBytesOf, unmeasuredAnswer } from "../stream-body.ts";
import { byteLength, eachSlice } from "../upload-parts.ts";
import { isDiscardMark, whereFree } from "./azure-discard.ts";
import { azureErrorName, isNotFound } from "./azure-errors.ts";
import type { AzureConnection, AzureSession } from "./azure-session.ts";

export interface AzureContext {
  readonly session: AzureSession;
  /** Index tags of what is written under this key. */
  readonly tagsOf: (key: string) => Tags;
}

const deletesAtOnce = 16;

export async function headObject(
  { session }: AzureContext,
  key: string,
  { signal }: CallOptions,
): Promise<ObjectInfo | undefined> {
  return session.attempt(`look at "${key}"`, signal, async () => {
    const { blob } = await session.connect();
    try {
      const properties = await blob(key).getProperties(abortBy(signal));
      if (isDiscardMark(properties.metadata)) return undefined;
      return objectInfo(key, properties.contentLength ?? 0, properties);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  });
}

export async function getObject(
  context: AzureContext,
  key: string,
  options: CallOptions & { readonly range?: ByteRange },
): Promise<OpenObject | undefined> {
  const { session } = context;
  const { range = { startByte: 0 }, signal } = options;
  if (range.endByte !== undefined && range.endByte <= range.startByte) {
    return openEmptyRange(context, key, range, options);
  }
  return session.attempt(`read "${key}"`, signal, async () => {
    const { blob } = await session.connect();
    try {
      const count = range.endByte === undefined ? undefined : range.endByte - range.startByte;
      // A body that ends early is the wrapper's to go on with, and ours to report.
      const download = { maxRetryRequests: 0, ...abortBy(signal) };
      const answer = await blob(key).download(range.startByte, count, download);
      return openAnswer(session, key, answer, { range, signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (azureErrorName(error) === "InvalidRange") return openEmptyRange(context, key, range, options);
      throw error;
    }
  });
}

async function openEmptyRange(
  context: AzureContext,
  key: string,
  range: ByteRange,
  options: CallOptions,
): Promise<OpenObject | undefined> {
  const info = await headObject(context, key, options);
  return info === undefined ? undefined : openNothing(info, range, context.session.url);
}

function openAnswer(
  session: AzureSession,
  key: string,
  answer: BlobDownloadResponseParsed,
  { range, signal }: { readonly range: ByteRange; readonly signal: AbortSignal | undefined },
): OpenObject | undefined {
  const failed = `could not read "${key}" in ${session.url}`;
  const stream = answer.readableStreamBody;
  const expectedBytes = answer.contentLength;
  if (!(stream instanceof Readable) || expectedBytes === undefined) throw unmeasuredAnswer(failed, "length");
  const total = totalBytesOf(answer.contentRange);
  const isWhole = range.startByte === 0 && range.endByte === undefined;
  const body = streamBody({
    stream,
    expectedBytes,
    failed,
    attempt: async (step) => session.attempt(`read "${key}"`, signal, step),
  });
  if (isDiscardMark(answer.metadata)) {
    stream.destroy();
    return undefined;
  }
  if (!isWhole && total === undefined) {
    stream.destroy();
    throw unmeasuredAnswer(failed, "range");
  }
  return { info: objectInfo(key, total ?? expectedBytes, answer), body };
}

export async function putObject(
  context: AzureContext,
  key: string,
  pieces: readonly Uint8Array[],
  { ifAbsent = false, signal }: WriteOptions,
): Promise<ObjectInfo> {
  const { session, tagsOf } = context;
  return session.attempt(`write "${key}"`, signal, async () => {
    const connection = await session.connect();
    const blob = connection.blob(key);
    const sizeBytes = byteLength(pieces);
    const content = {
      ...(await checksumOf(connection, pieces)),
      ...abortBy(signal),
      ...taggedBy(tagsOf(key)),
    };
    const target = { session, key, blob, signal };
    const answer = await whereFree(target, ifAbsent, async (conditions) =>
      blob.upload(bodyOf(pieces), sizeBytes, { ...content, conditions }),
    );
    return objectInfo(key, sizeBytes, answer);
  });
}

/** Removes blobs several at a time; those that are not there are fine. */
export async function deleteObjects(
  { session }: AzureContext,
  keys: readonly string[],
  { signal }: CallOptions,
): Promise<void> {
  const deleteOne = async (key: string): Promise<void> =>
    session.attempt(`delete "${key}"`, signal, async () => {
      const { blob } = await session.connect();
      try {
        await blob(key).delete(abortBy(signal));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  await mapConcurrent(keys, deletesAtOnce, deleteOne, signal);
}

/** The content as it lies in memory. Several pieces are a stream, made anew for each try. */
export function bodyOf(pieces: readonly Uint8Array[]): HttpRequestBody {
  const [only, ...more] = pieces;
  if (more.length > 0) return () => Readable.from(pieces, { objectMode: false });
  return only === undefined ? Buffer.alloc(0) : Buffer.from(only.buffer, only.byteOffset, only.byteLength);
}

/** Over TLS the connection protects the content; over plain HTTP its digest is signed, which the server checks. */
export async function checksumOf(
  { encrypted }: AzureConnection,
  pieces: readonly Uint8Array[],
): Promise<{ readonly transactionalContentMD5?: Uint8Array }> {
  if (encrypted) return {};
  const hash = createHash("md5");
  await eachSlice(pieces, (slice) => hash.update(slice));
  return { transactionalContentMD5: hash.digest() };
}

/** No header at all without tags: it takes a permission of its own. */
export function taggedBy(tags: Tags): { readonly tags?: Tags } {
  return Object.keys(tags).length === 0 ? {} : { tags };
}

export function abortBy(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

export function objectInfo(
  key: string,
  sizeBytes: number,
  facts: { readonly lastModified?: Date | undefined; readonly etag?: string | undefined },
): ObjectInfo {
  return {
    key,
    sizeBytes,
    modifiedAt: facts.lastModified ?? new Date(0),
    // Answers to requests quote it, lists do not.
    ...(facts.etag === undefined ? {} : { etag: facts.etag.replace(/^"|"$/g, "") }),
  };
}
