/** Looking at objects, opening them and writing them whole. */
import type { Readable } from "node:stream";
import type { GetObjectCommandOutput, HeadObjectCommandOutput, StorageClass } from "@aws-sdk/client-s3";
import { EngineError } from "../../common/errors.ts";
import type { ByteRange, CallOptions, ObjectInfo, OpenObject, WriteOptions } from "../object-store.ts";
import { openNothing, streamBody, totalBytesOf, unmeasuredAnswer } from "../stream-body.ts";
import type { ConditionKnowledge } from "./s3-condition.ts";
import { isNotFound, isNotImplemented, isPreconditionFailed, s3ErrorName, s3Status } from "./s3-errors.ts";
import { createPayload, instrument } from "./s3-payload.ts";
import type { S3Session } from "./s3-session.ts";

/** Headers that a written object gets: encryption at the server, storage class, tags (`key=value&…`, as in a URL). */
export interface ObjectHeaders {
  readonly ServerSideEncryption?: "AES256" | "aws:kms";
  readonly SSEKMSKeyId?: string;
  readonly Tagging?: string;
  /** The SDK's types name those of AWS; other servers have classes of their own. */
  readonly StorageClass?: StorageClass;
}

export interface S3Context {
  readonly session: S3Session;
  readonly condition: ConditionKnowledge;
  readonly headersOf: (key: string) => ObjectHeaders;
  /** Learned from answers. `seen`: the bucket is there, and 404 means the key. `versioned`: what is replaced or deleted stays. */
  readonly bucket: { seen: boolean; versioned?: boolean };
}

export function trimQuotes(etag: string): string {
  return etag.replace(/^"|"$/g, "");
}

export async function headObject(
  context: S3Context,
  key: string,
  options: CallOptions,
): Promise<ObjectInfo | undefined> {
  const { session } = context;
  const target = { Bucket: session.bucket, Key: session.fullKey(key) };
  return session.attempt(`look at "${key}"`, options.signal, async () => {
    try {
      const output = await session.send(new session.sdk.HeadObjectCommand(target), options.signal);
      context.bucket.seen = true;
      return { ...objectInfo(key, output.ContentLength ?? 0, output), ...storedAs(output) };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      if (!context.bucket.seen) await checkBucket(context, target, options);
      return undefined;
    }
  });
}

function storedAs(output: HeadObjectCommandOutput): Pick<ObjectInfo, "storedAs"> {
  const { ServerSideEncryption: encryption, StorageClass: storageClass } = output;
  const isUsual = storageClass === undefined || storageClass === "STANDARD";
  if (encryption === undefined && isUsual) return {};
  return {
    storedAs: { ...(encryption === undefined ? {} : { encryption }), ...(isUsual ? {} : { storageClass }) },
  };
}

/** A HEAD answer has no body and so does not tell a missing bucket from a missing key; the same GET does. */
async function checkBucket(
  context: S3Context,
  target: { readonly Bucket: string; readonly Key: string },
  options: CallOptions,
): Promise<void> {
  const { session } = context;
  try {
    const output = await session.send(new session.sdk.GetObjectCommand(target), options.signal);
    (output.Body as Readable | undefined)?.destroy();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  context.bucket.seen = true;
}

export async function getObject(
  context: S3Context,
  key: string,
  options: CallOptions & { readonly range?: ByteRange },
): Promise<OpenObject | undefined> {
  const { session } = context;
  const { range, signal } = options;
  if (range?.endByte !== undefined && range.endByte <= range.startByte)
    return openEmptyRange(context, key, range, options);
  return session.attempt(`read "${key}"`, signal, async () => {
    try {
      const output = await session.send(
        new session.sdk.GetObjectCommand({
          Bucket: session.bucket,
          Key: session.fullKey(key),
          ...(range === undefined ? {} : { Range: formatRange(range) }),
        }),
        signal,
      );
      context.bucket.seen = true;
      return openOutput(session, key, output, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (range !== undefined && (s3ErrorName(error) === "InvalidRange" || s3Status(error) === 416)) {
        return openEmptyRange(context, key, range, options);
      }
      throw error;
    }
  });
}

async function openEmptyRange(
  context: S3Context,
  key: string,
  range: ByteRange,
  options: CallOptions,
): Promise<OpenObject | undefined> {
  const info = await headObject(context, key, options);
  return info === undefined ? undefined : openNothing(info, range, context.session.url);
}

function formatRange(range: ByteRange): string {
  return `bytes=${range.startByte}-${range.endByte === undefined ? "" : range.endByte - 1}`;
}

function openOutput(
  session: S3Session,
  key: string,
  output: GetObjectCommandOutput,
  options: CallOptions & { readonly range?: ByteRange },
): OpenObject {
  const stream = output.Body as Readable;
  const total = totalBytesOf(output.ContentRange);
  const expected = output.ContentLength;
  const failed = `could not read "${key}" in ${session.url}`;
  if (expected === undefined || (options.range !== undefined && total === undefined)) {
    stream.on("error", () => undefined);
    stream.destroy();
    throw unmeasuredAnswer(failed, expected === undefined ? "length" : "range");
  }
  return {
    info: objectInfo(key, total ?? expected, output),
    body: streamBody({
      stream,
      expectedBytes: expected,
      failed,
      attempt: async (step) => session.attempt(`read "${key}"`, options.signal, step),
    }),
  };
}

export async function putObject(
  context: S3Context,
  key: string,
  pieces: readonly Uint8Array[],
  options: WriteOptions,
): Promise<ObjectInfo> {
  const { session, condition } = context;
  if (options.ifAbsent !== true) return putOnce(context, key, pieces, false, options);
  if (condition.lookFirst && (await headObject(context, key, options)) !== undefined)
    throw objectExists(session, key);
  if (!condition.sendHeader) return putOnce(context, key, pieces, false, options);

  let info: ObjectInfo;
  try {
    info = await putOnce(context, key, pieces, true, options);
  } catch (error) {
    if (!(error instanceof EngineError) || condition.proven || !isNotImplemented(error.cause)) throw error;
    condition.sawDisregard();
    return putOnce(context, key, pieces, false, options);
  }
  if (!condition.sawAcceptance()) return info;
  try {
    const again = await putOnce(context, key, pieces, true, options);
    condition.sawDisregard();
    return again;
  } catch {
    // Refused, which proves the condition; or in trouble, which proves nothing. The object is written either way.
    return info;
  }
}

async function putOnce(
  context: S3Context,
  key: string,
  pieces: readonly Uint8Array[],
  ifAbsent: boolean,
  options: CallOptions,
): Promise<ObjectInfo> {
  const { session } = context;
  return session.attempt(`write "${key}"`, options.signal, async () => {
    const { contentSha256, ...content } = await createPayload(session, pieces);
    const command = new session.sdk.PutObjectCommand({
      Bucket: session.bucket,
      Key: session.fullKey(key),
      ...content,
      ...context.headersOf(key),
      ...(ifAbsent ? { IfNoneMatch: "*" } : {}),
    });
    const { answeredAt } = instrument(command, contentSha256);
    try {
      const output = await session.send(command, options.signal);
      context.bucket.seen = true;
      context.bucket.versioned = output.VersionId !== undefined && output.VersionId !== "null";
      return objectInfo(key, content.ContentLength, { LastModified: answeredAt(), ...output });
    } catch (error) {
      if (!ifAbsent || !isPreconditionFailed(error)) throw error;
      context.condition.sawRefusal();
      throw objectExists(session, key);
    }
  });
}

export function objectExists(session: S3Session, key: string): EngineError {
  return new EngineError("object-exists", `"${key}" exists already in ${session.url}`);
}

export function objectInfo(
  key: string,
  sizeBytes: number,
  facts: { readonly LastModified?: Date | undefined; readonly ETag?: string | undefined },
): ObjectInfo {
  return {
    key,
    sizeBytes,
    modifiedAt: facts.LastModified ?? new Date(0),
    ...(facts.ETag === undefined ? {} : { etag: trimQuotes(facts.ETag) }),
  };
}
