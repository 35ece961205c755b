/**
 * Dropping the blocks of an upload. Azure has no request for that: they vanish a week after the last of them, or when a
 * blob is put together without them. So one of no blocks is, with a mark in its metadata, and removed. For that moment (or until it is found as an abandoned upload, should we be killed in it) the mark makes it count as absent.
 */
import type { BlockBlobClient, BlobRequestConditions, Metadata } from "@azure/storage-blob";
import { EngineError } from "../../common/errors.ts";
import { isNotFound, isTaken } from "./azure-errors.ts";
import type { AzureSession } from "./azure-session.ts";

const mark: Metadata = { tidemark: "discarded" };

/** Whether a blob with this metadata is no object. */
export function isDiscardMark(metadata: Metadata | undefined): boolean {
  return metadata?.["tidemark"] === mark["tidemark"];
}

/** A blob that a request is about. */
export interface BlobTarget {
  readonly session: AzureSession;
  readonly key: string;
  readonly blob: BlockBlobClient;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs a write under the conditions that `ifAbsent` means. Throws `object-exists` when there is an object, else what the
 * write throws.
 */
export async function whereFree<T>(
  target: BlobTarget,
  ifAbsent: boolean,
  write: (conditions: BlobRequestConditions) => Promise<T>,
): Promise<T> {
  if (!ifAbsent) return write({});
  try {
    return await write({ ifNoneMatch: "*" });
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
  const marked = await markedEtag(target);
  if (marked === undefined) throw objectExists(target);
  try {
    return await write({ ifMatch: marked });
  } catch (error) {
    throw isTaken(error) ? objectExists(target) : error;
  }
}

/**
 * Drops all blocks that are not part of a blob, if each belongs to the upload that is to be dropped (`isOurs` is asked with its
 * name): those of another upload under the same name cannot be told apart, and are left to go by themselves. Beside an
 * object that was written meanwhile there are none. Safe to repeat.
 */
export async function discardBlocks(
  target: BlobTarget,
  isOurs: (blockName: string) => boolean,
): Promise<void> {
  const { blob, signal } = target;
  const options = signal === undefined ? {} : { abortSignal: signal };
  try {
    const { uncommittedBlocks = [] } = await blob.getBlockList("uncommitted", options);
    if (uncommittedBlocks.some(({ name }) => !isOurs(name))) return;
    if (uncommittedBlocks.length > 0) {
      await whereFree(target, true, async (conditions) =>
        blob.commitBlockList([], { ...options, conditions, metadata: mark }),
      );
    }
    const marked = await markedEtag(target);
    if (marked !== undefined) await blob.delete({ ...options, conditions: { ifMatch: marked } });
  } catch (error) {
    const isDone = isNotFound(error) || isTaken(error);
    if (!isDone && !(error instanceof EngineError && error.code === "object-exists")) throw error;
  }
}

/** Of a blob that is a mark. */
async function markedEtag({ blob, signal }: BlobTarget): Promise<string | undefined> {
  try {
    const { metadata, etag } = await blob.getProperties(signal === undefined ? {} : { abortSignal: signal });
    return isDiscardMark(metadata) ? etag : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export function objectExists({ session, key }: Pick<BlobTarget, "session" | "key">): EngineError {
  return new EngineError("object-exists", `"${key}" exists already in ${session.url}`);
}
