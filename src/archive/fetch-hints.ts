import { isEngineError } from "../common/errors.ts";
import type { CodecName } from "../codec/codec.ts";
import { readIdentity } from "../repository/identity.ts";
import type { Repository } from "../repository/repository.ts";

/**
 * Which codecs to ask for before listing. Kept by whoever fetches more than once; it saves a request per file and
 * decides nothing.
 */
export class FetchHints {
  readonly #codecs = new Map<Repository, readonly CodecName[]>();

  /** The likeliest codec first; none when the repository does not say (then a listing answers at once). */
  async codecs(repository: Repository, signal?: AbortSignal): Promise<readonly CodecName[]> {
    const known = this.#codecs.get(repository);
    if (known !== undefined) return known;
    const codecs = await statedCodecs(repository, signal);
    this.#codecs.set(repository, codecs);
    return codecs;
  }

  /** Remembers what worked. */
  found(repository: Repository, codec: CodecName): void {
    const others = (this.#codecs.get(repository) ?? []).filter((other) => other !== codec);
    this.#codecs.set(repository, [codec, ...others]);
  }
}

/** A damaged identity must not stand in the way of a restore. */
async function statedCodecs(repository: Repository, signal?: AbortSignal): Promise<readonly CodecName[]> {
  try {
    const identity = await readIdentity(repository, signal);
    // The newest codec was added last.
    return identity?.walCodecs.toReversed() ?? [];
  } catch (error) {
    if (isEngineError(error, "object-corrupt")) return [];
    throw error;
  }
}
