/** A large object as an S3 multipart upload. */
import { createHash } from "node:crypto";
import type { CallOptions, ObjectInfo, ObjectUpload, UploadOptions } from "../object-store.ts";
import { byteLength, PartLedger } from "../upload-parts.ts";
import { isNotImplemented, isPreconditionFailed, s3ErrorName } from "./s3-errors.ts";
import { headObject, objectExists, objectInfo, putObject, trimQuotes, type S3Context } from "./s3-objects.ts";
import { createPayload, instrument } from "./s3-payload.ts";

interface Started {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

export async function startS3Upload(
  context: S3Context,
  key: string,
  partBytes: number,
  options: UploadOptions,
): Promise<ObjectUpload> {
  const { session } = context;
  const target = { Bucket: session.bucket, Key: session.fullKey(key) };
  if (options.ifAbsent === true && (await headObject(context, key, options)) !== undefined) {
    throw objectExists(session, key);
  }
  const started = await session.attempt(`start to write "${key}"`, options.signal, async () => {
    const command = new session.sdk.CreateMultipartUploadCommand({
      ...target,
      ...context.headersOf(key),
    });
    const { UploadId } = await session.send(command, options.signal);
    if (UploadId === undefined) throw new Error("the answer has no upload ID");
    return { ...target, UploadId };
  });
  const ledger = new PartLedger<string>(partBytes, session.profile.maxParts);
  let completed: ObjectInfo | undefined;

  const abort = async (options: CallOptions = {}): Promise<void> => {
    if (completed === undefined) await abortS3Upload(context, key, started, options);
  };
  return {
    writePart: async (index, pieces, partOptions = {}) => {
      const sizeBytes = byteLength(pieces);
      ledger.check(index, sizeBytes);
      // S3 has no empty parts; an upload that turns out empty is written whole by `complete`.
      const etag = sizeBytes === 0 ? "" : await writePart(context, key, started, index, pieces, partOptions);
      ledger.record(index, sizeBytes, etag);
    },
    complete: async (completeOptions = {}) => {
      if (completed !== undefined) return completed;
      const { sizeBytes, notes } = ledger.finish();
      const both = { ...completeOptions, ifAbsent: options.ifAbsent === true };
      if (sizeBytes === 0) {
        const info = await putObject(context, key, [], both);
        await abort(completeOptions);
        completed = info;
      } else {
        completed = await completeUpload(context, key, started, { sizeBytes, etags: notes }, both);
      }
      return completed;
    },
    abort,
  };
}

async function writePart(
  context: S3Context,
  key: string,
  started: Started,
  index: number,
  pieces: readonly Uint8Array[],
  options: CallOptions,
): Promise<string> {
  const { session } = context;
  return session.attempt(`write part ${index} of "${key}"`, options.signal, async () => {
    const { contentSha256, ...content } = await createPayload(session, pieces);
    const command = new session.sdk.UploadPartCommand({ ...started, PartNumber: index + 1, ...content });
    instrument(command, contentSha256);
    const { ETag } = await session.send(command, options.signal);
    if (ETag === undefined) throw new Error("the answer has no ETag");
    return ETag;
  });
}

interface Written {
  readonly sizeBytes: number;
  readonly etags: readonly string[];
}

async function completeUpload(
  context: S3Context,
  key: string,
  started: Started,
  written: Written,
  options: CallOptions & { readonly ifAbsent: boolean },
): Promise<ObjectInfo> {
  const { session, condition } = context;
  const ifAbsent = options.ifAbsent;
  // Looked at even where the condition is honoured: some servers honour it for PUT only (Ceph 16), and ignore it here.
  if (ifAbsent) {
    const info = await headObject(context, key, options);
    if (info !== undefined) {
      if (info.etag !== undefined && info.etag === multipartEtag(written.etags)) return info;
      if (isThisUpload(info, written) && (await isGone(context, key, started, options))) return info;
      throw objectExists(session, key);
    }
  }
  return session.attempt(`complete "${key}"`, options.signal, async () => {
    try {
      return await sendComplete(context, key, started, written, ifAbsent && condition.sendHeader, options);
    } catch (error) {
      if (ifAbsent && isPreconditionFailed(error)) throw objectExists(session, key);
      if (ifAbsent && isNotImplemented(error))
        return sendComplete(context, key, started, written, false, options);
      if (s3ErrorName(error) !== "NoSuchUpload") throw error;
      // Completed by an earlier try whose answer was lost, or aborted by someone else.
      const info = await headObject(context, key, options);
      if (info === undefined || !isThisUpload(info, written)) throw error;
      return info;
    }
  });
}

async function sendComplete(
  context: S3Context,
  key: string,
  started: Started,
  written: Written,
  conditional: boolean,
  options: CallOptions,
): Promise<ObjectInfo> {
  const { session } = context;
  const command = new session.sdk.CompleteMultipartUploadCommand({
    ...started,
    MultipartUpload: { Parts: written.etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
    ...(conditional ? { IfNoneMatch: "*" } : {}),
  });
  const { answeredAt } = instrument(command, undefined);
  const output = await session.send(command, options.signal);
  return objectInfo(key, written.sizeBytes, { LastModified: answeredAt(), ETag: output.ETag });
}

/**
 * The ETag that S3 gives a multipart object without KMS encryption: the MD5 of the MD5s of its parts. An equal one means
 * equal content. Undefined when the parts' own ETags are no MD5s.
 */
function multipartEtag(etags: readonly string[]): string | undefined {
  const parts = etags.map(trimQuotes);
  if (!parts.every((etag) => /^[0-9a-f]{32}$/.test(etag))) return undefined;
  const digest = createHash("md5")
    .update(Buffer.from(parts.join(""), "hex"))
    .digest("hex");
  return `${digest}-${parts.length}`;
}

/** Same length, and an ETag that does not speak against it: that of a multipart object ends in its number of parts. */
function isThisUpload(info: ObjectInfo, written: Written): boolean {
  const parts = /-(\d+)$/.exec(info.etag ?? "")?.[1];
  return (
    info.sizeBytes === written.sizeBytes && (parts === undefined || Number(parts) === written.etags.length)
  );
}

/** Whether the upload is no longer open, as after it was completed. */
async function isGone(
  context: S3Context,
  key: string,
  started: Started,
  options: CallOptions,
): Promise<boolean> {
  const { session } = context;
  return session.attempt(`look at the upload of "${key}"`, options.signal, async () => {
    try {
      await session.send(new session.sdk.ListPartsCommand({ ...started, MaxParts: 1 }), options.signal);
      return false;
    } catch (error) {
      if (["NoSuchUpload", "NoSuchKey"].includes(s3ErrorName(error))) return true;
      throw error;
    }
  });
}

/** Drops an upload; one that is gone already is fine. */
export async function abortS3Upload(
  context: S3Context,
  key: string,
  started: Started,
  options: CallOptions,
): Promise<void> {
  const { session } = context;
  await session.attempt(`abort the upload of "${key}"`, options.signal, async () => {
    try {
      await session.send(new session.sdk.AbortMultipartUploadCommand(started), options.signal);
    } catch (error) {
      if (!["NoSuchUpload", "NoSuchKey"].includes(s3ErrorName(error))) throw error;
    }
  });
}
