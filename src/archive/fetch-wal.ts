import { throwIfAborted } from "../common/abort.ts";
import { isEngineError } from "../common/errors.ts";
import { codecNamed } from "../codec/codecs.ts";
import { walKey } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { isStoreTrouble, worstTrouble, type RepositoryTrouble } from "../repository/several-repositories.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";
import { deliverObject, type Delivery } from "./deliver-wal.ts";
import { FetchHints } from "./fetch-hints.ts";
import { longestHistoryFirst } from "./longest-history.ts";
import type { ExpectedSystem } from "./local-wal.ts";

export interface FetchRequest extends Delivery {
  /** Asked in this order. */
  readonly repositories: readonly Repository[];
  /** Shared by the fetches of one process. */
  readonly hints?: FetchHints;
  readonly signal?: AbortSignal;
}

export type FetchOutcome =
  | { readonly kind: "delivered"; readonly bytes: number; readonly repository: string }
  /** Certain: every repository was asked and has none. */
  | { readonly kind: "absent" };

/**
 * Brings one WAL file to `destination`, whole and checked. The next repository is asked when one is unavailable, has no
 * copy, or only damaged ones. Whatever is neither delivered nor certainly absent throws: what the store threw, or
 * `object-corrupt`; PostgreSQL must then stop, not take it for the end of the archive.
 *
 * A partial segment is delivered only when asked for by its own name.
 */
export async function fetchWal(request: FetchRequest): Promise<FetchOutcome> {
  const hints = request.hints ?? new FetchHints();
  const passedOver: RepositoryTrouble[] = [];
  const inOrder = hints.inOrder(request.repositories);
  const { file, signal } = request;
  // Two copies of a history may both be in form, and only one of them be whole.
  const repositories =
    file.kind === "history" ? await longestHistoryFirst(inOrder, file, hints, signal) : inOrder;
  for (const repository of repositories) {
    throwIfAborted(signal);
    try {
      const bytes = await fetchFrom(repository, request, hints);
      if (bytes !== undefined) return { kind: "delivered", bytes, repository: repository.name };
    } catch (error) {
      throwIfAborted(signal);
      // A full disk here is the same for every repository.
      if (!isEngineError(error) || error.code === "file-io" || error.code === "disk-full") throw error;
      passedOver.push({ repository, error });
      if (isStoreTrouble(error)) hints.storeFailed(repository);
      if (!hints.isNews(repository, isStoreTrouble(error) ? error.code : file.name)) continue;
      repository.log.warn("could not fetch a WAL file here", {
        repository: repository.name,
        segment: file.name,
        error: error.message,
      });
    }
  }
  if (passedOver.length === 0) return { kind: "absent" };
  throw worstTrouble(passedOver);
}

/** Whoever fetches by hand need not know whose WAL it is: the repository does. */
function expecting(delivery: Delivery, stated: ExpectedSystem | undefined): Delivery {
  if (stated === undefined) return delivery;
  const { systemIdentifier: expectedSystemIdentifier, walSegmentSizeBytes } = stated;
  return { expectedSystemIdentifier, walSegmentSizeBytes, ...delivery };
}

/** Bytes delivered, or undefined when this repository certainly has none. */
async function fetchFrom(
  repository: Repository,
  request: FetchRequest,
  hints: FetchHints,
): Promise<number | undefined> {
  const { file, signal } = request;
  const key = walKey(repository.server, file);
  const damaged = new Map<string, unknown>();
  const tryObject = async (object: Parameters<typeof deliverObject>[1]) => {
    try {
      const bytes = await deliverObject(
        repository,
        object,
        expecting(request, hints.system(repository)),
        signal,
      );
      if (bytes !== undefined) hints.found(repository, object.codec);
      return bytes;
    } catch (error) {
      if (!isEngineError(error, "object-corrupt")) throw error;
      damaged.set(object.key, error);
      return undefined;
    }
  };

  // History files are mostly asked for to learn that there is none, and then only the listing is certain.
  const likely = file.kind === "history" ? [] : await hints.codecs(repository, signal);
  for (const codec of likely) {
    const bytes = await tryObject({ key: `${key}${codecNamed(codec).extension}`, codec });
    if (bytes !== undefined) return bytes;
  }
  for (const object of await findWalObjects(repository, file, signal)) {
    if (damaged.has(object.key)) continue;
    const bytes = await tryObject(object);
    if (bytes !== undefined) return bytes;
  }
  const [damage] = damaged.values();
  if (damage !== undefined) throw damage;
  return undefined;
}
