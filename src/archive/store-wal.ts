import { signalOption } from "../common/abort.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { RepositoryIdentity } from "../repository/identity.ts";
import { walKey } from "../repository/keys.ts";
import { headWalObject } from "../repository/wal-lookup.ts";
import { writeWalSum } from "../repository/wal-sum.ts";
import { byteLength } from "../storage/upload-parts.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import { requireSameContent } from "./compare-stored.ts";
import type { WalFacts } from "./wal-facts.ts";

/** How one repository stands after a push. */
export type PushOutcome =
  | { readonly kind: "archived"; readonly repository: string; readonly storedBytes: number }
  /** It was there before, byte for byte the same. */
  | { readonly kind: "already-archived"; readonly repository: string }
  | { readonly kind: "failed"; readonly repository: string; readonly error: EngineError };

/** Turns a failure of one repository into its outcome, so that the others are not affected. */
export async function attempt(
  target: ArchiveTarget,
  store: () => Promise<PushOutcome>,
): Promise<PushOutcome> {
  try {
    return await store();
  } catch (cause) {
    const error =
      cause instanceof EngineError
        ? cause
        : new EngineError("internal", `could not archive: ${describeError(cause)}`, { cause });
    return { kind: "failed", repository: target.repository.name, error };
  }
}

export function walObjectKey(target: ArchiveTarget, file: WalFileName): string {
  return `${walKey(target.repository.server, file)}${codecNamed(target.codec).extension}`;
}

/**
 * Looks whether the file is in the repository under another codec than the target's, the only ones that the identity
 * says can occur, and compares it. Undefined when it is not. Throws as `requireSameContent` does.
 */
export async function findTwin(
  target: ArchiveTarget,
  identity: RepositoryIdentity,
  local: WalFacts,
  signal?: AbortSignal,
): Promise<PushOutcome | undefined> {
  const others = identity.walCodecs.filter((codec) => codec !== target.codec);
  for (const codec of others) {
    const object = await headWalObject(target.repository, local.file, codec, signal);
    if (object === undefined) continue;
    await requireSameContent(target.repository, object, local, signal);
    return { kind: "already-archived", repository: target.repository.name };
  }
  return undefined;
}

/** Stores compressed content that is in memory: one request in the ordinary case. */
export async function storePieces(
  target: ArchiveTarget,
  local: WalFacts,
  pieces: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<PushOutcome> {
  try {
    await target.repository.store.put(walObjectKey(target, local.file), pieces, {
      ifAbsent: true,
      ...signalOption(signal),
    });
    return { kind: "archived", repository: target.repository.name, storedBytes: byteLength(pieces) };
  } catch (error) {
    return compareTaken(target, local, error, signal);
  }
}

/**
 * After `object-exists`: somebody archived it before, or our own request succeeded, its answer was lost and it was
 * repeated. Equal content is success either way. Any other error is thrown on.
 */
export async function compareTaken(
  target: ArchiveTarget,
  local: WalFacts,
  error: unknown,
  signal?: AbortSignal,
): Promise<PushOutcome> {
  if (!isEngineError(error, "object-exists")) throw error;
  const key = walObjectKey(target, local.file);
  await requireSameContent(target.repository, { key, codec: target.codec }, local, signal);
  return { kind: "already-archived", repository: target.repository.name };
}

/** Last step of a push: content without a checksum of its own gets one (`wal-sum.ts` says why last). */
export async function storeSum(
  target: ArchiveTarget,
  local: WalFacts,
  crc32: number,
  signal?: AbortSignal,
): Promise<void> {
  if (codecNamed(target.codec).selfChecking) return;
  await writeWalSum(target.repository, local.file, { sizeBytes: local.sizeBytes, crc32 }, signal);
}
