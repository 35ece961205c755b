import { systemClock, type Clock } from "../common/clock.ts";
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
  readonly #clock: Clock;
  readonly #restsUntilMs = new Map<Repository, number>();
  readonly #said = new Set<string>();
  readonly #codecs = new Map<Repository, readonly CodecName[]>();
  readonly #systems = new Map<Repository, ExpectedSystem>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** In their order, but those last whose store was in trouble a moment ago: each question to it may take minutes. */
  inOrder(repositories: readonly Repository[]): readonly Repository[] {
    return repositories.toSorted((a, b) => Number(this.isResting(a)) - Number(this.isResting(b)));
  }

  isResting(repository: Repository): boolean {
    return (this.#restsUntilMs.get(repository) ?? 0) > this.#clock.monotonicMs();
  }

  storeFailed(repository: Repository): void {
    this.#restsUntilMs.set(repository, this.#clock.monotonicMs() + restMs);
  }

  /** Whether this is worth a line in the log: the same trouble is said once. */
  isNews(repository: Repository, what: string): boolean {
    const key = JSON.stringify([repository.name, what]);
    if (this.#said.has(key)) return false;
    this.#said.add(key);
    return true;
  }

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

/** How long a store in trouble is asked last. */
const restMs = 30_000;

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
