/** The adapter for S3 and what speaks like it: AWS, R2, B2, MinIO, Ceph, GCS's interoperable door. */
import { throwIfAborted } from "../../common/abort.ts";
import { gib, mib } from "../../common/units.ts";
import { checkKeyPrefix, checkObjectKey } from "../object-key.ts";
import type { ObjectStore, StoreCapabilities } from "../object-store.ts";
import { checkPartBytes } from "../upload-parts.ts";
import { ConditionKnowledge, type ConditionalCreate } from "./s3-condition.ts";
import { createDelete } from "./s3-delete.ts";
import { listObjects, listUploads } from "./s3-list.ts";
import { getObject, headObject, putObject, type ObjectHeaders, type S3Context } from "./s3-objects.ts";
import type { S3Profile } from "./s3-profile.ts";
import { openS3Session, type S3SessionOptions } from "./s3-session.ts";
import { abortS3Upload, startS3Upload } from "./s3-upload.ts";

export interface S3StoreOptions extends S3SessionOptions {
  /** Whether `If-None-Match: *` is honoured. `auto` (default) trusts it once it was seen to be; see `s3-condition.ts`. */
  readonly conditionalCreate?: ConditionalCreate;
  /** Preferred size of upload parts in bytes. Default 16 MiB: objects up to 156 GiB. */
  readonly partBytes?: number;
  /** What an object that is written under this key gets besides: encryption at the server, storage class, tags. */
  readonly headersOf?: (key: string) => ObjectHeaders;
  readonly signal?: AbortSignal;
}

/**
 * Opens a bucket as an object store. Sends nothing yet: wrong names and credentials show with the first call. Throws
 * `config` when the CA file or the credentials file cannot be read. `close` ends the connections.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ObjectStore> {
  throwIfAborted(options.signal);
  const session = await openS3Session(options);
  const { profile } = session;
  const condition = new ConditionKnowledge(options.conditionalCreate ?? profile.conditionalCreate);
  const context: S3Context = {
    session,
    condition,
    headersOf: withoutNeedless(options.headersOf ?? (() => ({})), profile),
    bucket: { seen: false },
  };
  const limits: Omit<StoreCapabilities, "conditionalCreate" | "keepsVersions"> = {
    minPartBytes: 5 * mib,
    maxPartBytes: 5 * gib,
    maxParts: profile.maxParts,
    preferredPartBytes: options.partBytes ?? 16 * mib,
    parallelParts: true,
    maker: profile.title,
    encryptsAlways: profile.encryption === "always",
    remarks: profile.remarks,
  };
  const deleteKeys = createDelete(session);

  const store: ObjectStore = {
    url: session.url,
    get capabilities() {
      const { versioned } = context.bucket;
      return {
        conditionalCreate: condition.proven,
        ...(versioned === undefined ? {} : { keepsVersions: versioned }),
        ...limits,
      };
    },
    head: async (key, callOptions = {}) => {
      checkObjectKey(key);
      return headObject(context, key, callOptions);
    },
    async *list(prefix, listOptions = {}) {
      checkKeyPrefix(prefix);
      yield* listObjects(session, prefix, listOptions);
    },
    get: async (key, getOptions = {}) => {
      checkObjectKey(key);
      return getObject(context, key, getOptions);
    },
    put: async (key, pieces, writeOptions = {}) => {
      checkObjectKey(key);
      return putObject(context, key, pieces, writeOptions);
    },
    startUpload: async (key, uploadOptions = {}) => {
      checkObjectKey(key);
      const partBytes = uploadOptions.partBytes ?? limits.preferredPartBytes;
      checkPartBytes(partBytes, store.capabilities);
      return startS3Upload(context, key, partBytes, uploadOptions);
    },
    delete: async (keys, callOptions = {}) => {
      for (const key of keys) checkObjectKey(key);
      await deleteKeys(keys, callOptions);
    },
    async *abandonedUploads(prefix, callOptions = {}) {
      checkKeyPrefix(prefix);
      yield* listUploads(session, prefix, callOptions);
    },
    abortAbandonedUpload: async (upload, callOptions = {}) => {
      const started = { Bucket: session.bucket, Key: session.fullKey(upload.key), UploadId: upload.uploadId };
      await abortS3Upload(context, upload.key, started, callOptions);
    },
    close: async () => session.close(),
  };
  return store;
}

/** Where everything is encrypted anyway, asking for it is refused: what was wanted is there without the header. */
function withoutNeedless(
  headersOf: (key: string) => ObjectHeaders,
  { encryption }: S3Profile,
): (key: string) => ObjectHeaders {
  if (encryption === "on request") return headersOf;
  return (key) => {
    const headers = headersOf(key);
    const { ServerSideEncryption: wanted, ...rest } = headers;
    return wanted === "AES256" ? rest : headers;
  };
}
