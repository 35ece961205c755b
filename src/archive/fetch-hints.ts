import { isEngineError } from "../common/errors.ts";
import type { CodecName } from "../codec/codec.ts";
import { readIdentity, type RepositoryIdentity } from "../repository/identity.ts";
import type { Repository } from "../repository/repository.ts";
import type { ExpectedSystem } from "./local-wal.ts";

/**
 * What a repository says of itself: which codecs to ask for before listing, and whose WAL it holds. Kept by whoever
 * fetches more than once; it saves a request per file.
 */
export class FetchHints {
  readonly #codecs = new Map<Repository, readonly CodecName[]>();
  readonly #systems = new Map<Repository, ExpectedSystem>();

  /** The likeliest codec first; none when the repository does not say (then a listing answers at once). */
  async codecs(repository: Repository, signal?: AbortSignal): Promise<readonly CodecName[]> {
    const known = this.#codecs.get(repository);
    if (known !== undefined) return known;
    const identity = await statedIdentity(repository, signal);
    if (identity !== undefined) this.#systems.set(repository, identity);
    // The newest codec was added last.
    const codecs = identity?.walCodecs.toReversed() ?? [];
    this.#codecs.set(repository, codecs);
    return codecs;
  }

  /** The system the repository belongs to, once `codecs` was asked; undefined when it does not say. */
  system(repository: Repository): ExpectedSystem | undefined {
    return this.#systems.get(repository);
  }

  /** Remembers what worked. */
  found(repository: Repository, codec: CodecName): void {
    const others = (this.#codecs.get(repository) ?? []).filter((other) => other !== codec);
    this.#codecs.set(repository, [codec, ...others]);
  }
}

/** A damaged identity must not stand in the way of a restore. */
async function statedIdentity(
  repository: Repository,
  signal?: AbortSignal,
): Promise<RepositoryIdentity | undefined> {
  try {
    return await readIdentity(repository, signal);
  } catch (error) {
    if (isEngineError(error, "object-corrupt")) return undefined;
    throw error;
  }
}
