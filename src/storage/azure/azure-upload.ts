/** A large object as blocks that are put together at the end. */
import { signalOption } from "../../common/abort.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import type {
  AbandonedUpload,
  CallOptions,
  ObjectInfo,
  ObjectUpload,
  UploadOptions,
} from "../object-store.ts";
import { byteLength, PartLedger } from "../upload-parts.ts";
import { blockName, newUploadId, readBlockName } from "./azure-blocks.ts";
import { discardBlocks, objectExists, whereFree, type BlobTarget } from "./azure-discard.ts";
import { azureErrorName, isNotFound } from "./azure-errors.ts";
import { maxBlocks } from "./azure-limits.ts";
import {
  abortBy,
  bodyOf,
  checksumOf,
  headObject,
  objectInfo,
  taggedBy,
  type AzureContext,
} from "./azure-objects.ts";
import type { AzureSession } from "./azure-session.ts";

export async function startAzureUpload(
  context: AzureContext,
  key: string,
  partBytes: number,
  options: UploadOptions,
): Promise<ObjectUpload> {
  const { session } = context;
  const { ifAbsent = false, signal } = options;
  if (ifAbsent && (await headObject(context, key, options)) !== undefined) {
    throw objectExists({ session, key });
  }
  const uploadId = newUploadId(new Date());
  // So that an upload is found from its beginning, and a refusal does not come after the first part has been read.
  await stage(
    session,
    `start to write "${key}"`,
    key,
    blockName(uploadId, "start"),
    [Buffer.alloc(1)],
    signal,
  );
  const ledger = new PartLedger<readonly string[]>(partBytes, maxBlocks);
  let completed: ObjectInfo | undefined;

  return {
    writePart: async (index, pieces, partOptions = {}) => {
      const sizeBytes = byteLength(pieces);
      ledger.check(index, sizeBytes);
      const name = blockName(uploadId, index);
      // There are no empty blocks; an empty object is one of no blocks.
      if (sizeBytes > 0) {
        await stage(session, `write part ${index} of "${key}"`, key, name, pieces, partOptions.signal);
      }
      ledger.record(index, sizeBytes, sizeBytes > 0 ? [name] : []);
    },
    complete: async (completeOptions = {}) => {
      if (completed !== undefined) return completed;
      const { sizeBytes, notes } = ledger.finish();
      const written = { sizeBytes, names: notes.flat() };
      completed = await commit(context, key, written, { ...completeOptions, ifAbsent });
      return completed;
    },
    abort: async (abortOptions = {}) => {
      if (completed === undefined) await dropUpload(session, { key, uploadId }, abortOptions);
    },
  };
}

async function stage(
  session: AzureSession,
  action: string,
  key: string,
  name: string,
  pieces: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await session.attempt(action, signal, async () => {
    const connection = await session.connect();
    const options = { ...(await checksumOf(connection, pieces)), ...abortBy(signal) };
    await connection.blob(key).stageBlock(name, bodyOf(pieces), byteLength(pieces), options);
  });
}

interface Written {
  readonly sizeBytes: number;
  /** Of its blocks, in order. */
  readonly names: readonly string[];
}

async function commit(
  context: AzureContext,
  key: string,
  written: Written,
  { signal, ifAbsent }: CallOptions & { readonly ifAbsent: boolean },
): Promise<ObjectInfo> {
  const { session, tagsOf } = context;
  return session.attempt(`complete "${key}"`, signal, async () => {
    const { blob: blobOf } = await session.connect();
    const target = { session, key, blob: blobOf(key), signal };
    const { sizeBytes, names } = written;
    try {
      const answer = await whereFree(target, ifAbsent, async (conditions) =>
        target.blob.commitBlockList([...names], { conditions, ...taggedBy(tagsOf(key)), ...abortBy(signal) }),
      );
      return objectInfo(key, sizeBytes, answer);
    } catch (error) {
      const arePartsGone = azureErrorName(error) === "InvalidBlockList";
      if (!arePartsGone && !isEngineError(error, "object-exists")) throw error;
      // Completed by an earlier try whose answer was lost, or else by somebody else.
      const info = await headObject(context, key, signalOption(signal));
      if (info?.sizeBytes === sizeBytes && (await consistsOf(target, names))) return info;
      if (!arePartsGone) throw error;
      throw info !== undefined && ifAbsent ? objectExists(target) : partsGone(session, key);
    }
  });
}

/** Whether the blob was put together from exactly these blocks, whose names no other upload has. */
async function consistsOf({ blob, signal }: BlobTarget, names: readonly string[]): Promise<boolean> {
  try {
    const { committedBlocks = [] } = await blob.getBlockList("committed", abortBy(signal));
    return (
      committedBlocks.length === names.length &&
      committedBlocks.every(({ name }, index) => name === names[index])
    );
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function partsGone(session: AzureSession, key: string): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not complete "${key}" in ${session.url}: its parts are gone`,
    {
      retryable: false,
      hint: "Azure drops them when somebody else writes under the same name, and after a week: run the same command again.",
    },
  );
}

/** What `uploadId` says of blocks that another program left. */
const foreign = "foreign:";

/** The uploads that these blocks belong to, each once. `sinceWhen` is for those that do not say when they began. */
export function uploadsOf(
  key: string,
  blockNames: readonly string[],
  sinceWhen: Date,
): readonly AbandonedUpload[] {
  const uploads = new Map<string, AbandonedUpload>();
  for (const name of blockNames) {
    const { uploadId, startedAt } = readBlockName(name) ?? {
      uploadId: `${foreign}${key}`,
      startedAt: sinceWhen,
    };
    uploads.set(uploadId, { key, uploadId, startedAt });
  }
  return [...uploads.values()];
}

/** A mark that was left (`azure-discard.ts`), as an upload that can be dropped. */
export function uploadOfMark(key: string, markedAt: Date): AbandonedUpload {
  return { key, uploadId: `${foreign}${key}`, startedAt: markedAt };
}

/** Drops the blocks of an upload, and a mark that was left; if there are none any more, that is fine. */
export async function dropUpload(
  session: AzureSession,
  { key, uploadId }: Pick<AbandonedUpload, "key" | "uploadId">,
  { signal }: CallOptions,
): Promise<void> {
  await session.attempt(`abort the upload of "${key}"`, signal, async () => {
    const { blob } = await session.connect();
    const isOurs = (name: string): boolean =>
      (readBlockName(name)?.uploadId ?? `${foreign}${key}`) === uploadId;
    await discardBlocks({ session, key, blob: blob(key), signal }, isOurs);
  });
}
