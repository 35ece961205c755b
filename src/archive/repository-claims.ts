import { systemClock, type Clock } from "../common/clock.ts";
import type { CodecName } from "../codec/codec.ts";
import { claimRepository } from "../repository/claim.ts";
import { requireSameSystem, type RepositoryIdentity } from "../repository/identity.ts";
import type { Repository } from "../repository/repository.ts";
import type { ExpectedSystem } from "./local-wal.ts";

/** How long another process's new codec may go unnoticed. Until then a name might get a twin, which readers can handle. */
const freshMs = 60_000;

interface Held {
  readonly identity: RepositoryIdentity;
  readonly readAtMs: number;
}

/** `claimRepository`, asked once a minute and repository instead of for every WAL file. */
export class RepositoryClaims {
  readonly #clock: Clock;
  readonly #held = new Map<Repository, Held>();
  /** Claims of one repository run one after the other, so that a burst of first pushes asks once. */
  readonly #turns = new Map<Repository, Promise<unknown>>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The repository's identity, ours, with `codec` among its WAL codecs. Throws as `claimRepository`; failures are not kept. */
  async claim(
    repository: Repository,
    expected: ExpectedSystem,
    codec: CodecName,
    signal?: AbortSignal,
  ): Promise<RepositoryIdentity> {
    const held = this.#fresh(repository, codec);
    if (held !== undefined) {
      requireSameSystem(repository, held, expected);
      return held;
    }
    const before = this.#turns.get(repository) ?? Promise.resolve();
    const turn = before
      .catch(() => undefined)
      .then(async () => {
        const known = this.#fresh(repository, codec);
        const identity =
          known ?? (await claimRepository(repository, { ...expected, walCodec: codec }, signal));
        requireSameSystem(repository, identity, expected);
        if (known === undefined)
          this.#held.set(repository, { identity, readAtMs: this.#clock.monotonicMs() });
        return identity;
      });
    this.#turns.set(repository, turn);
    return turn;
  }

  #fresh(repository: Repository, codec: CodecName): RepositoryIdentity | undefined {
    const held = this.#held.get(repository);
    if (held === undefined || this.#clock.monotonicMs() - held.readAtMs >= freshMs) return undefined;
    return held.identity.walCodecs.includes(codec) ? held.identity : undefined;
  }
}
