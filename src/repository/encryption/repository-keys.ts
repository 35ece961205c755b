import { untilAborted } from "../../common/abort.ts";
import { systemClock, type Clock } from "../../common/clock.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { requireNotClaimedBefore } from "../claimed-before.ts";
import { describeRepository, type Repository } from "../repository.ts";
import { readKeysObject, requireNothingStored, writeKeysObject } from "./keys-object.ts";
import type { KeyRing } from "./key-ring.ts";
import { lockOf, type Lock } from "./lock-keys.ts";
import type { OperatorKey } from "./operator-key.ts";
import { generateRepositoryKey } from "./repository-key.ts";
import { ringOf } from "./stored-keys.ts";
import type { KeySource } from "./with-encryption.ts";

/** How long a second writer may need from looking whether there are keys to having written his. */
const settleMs = 2000;

/**
 * The keys of a repository, read when they are first needed and kept for the life of the process. The store may be away
 * when a repository is opened, so nothing is asked before; what fails is tried again with the next call.
 */
export class RepositoryKeys implements KeySource {
  readonly #repository: Repository;
  readonly #operatorKey: () => Promise<OperatorKey>;
  readonly #clock: Clock;
  #ring: KeyRing | undefined;
  #reading: Promise<KeyRing | undefined> | undefined;
  #creating: Promise<KeyRing> | undefined;

  /**
   * The repository with its store as it is below the encryption. The operator's key is asked for each time the keys are
   * read: it may have been replaced meanwhile.
   */
  constructor(repository: Repository, operatorKey: () => Promise<OperatorKey>, clock: Clock = systemClock) {
    this.#repository = repository;
    this.#operatorKey = operatorKey;
    this.#clock = clock;
  }

  async forReading(signal: AbortSignal | undefined): Promise<KeyRing | undefined> {
    if (this.#ring !== undefined) return this.#ring;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return untilAborted(this.#reading, signal);
  }

  async forWriting(signal: AbortSignal | undefined): Promise<KeyRing> {
    const ring = await this.forReading(signal);
    if (ring !== undefined) return ring;
    this.#creating ??= this.#create().finally(() => {
      this.#creating = undefined;
    });
    return untilAborted(this.#creating, signal);
  }

  async again(signal: AbortSignal | undefined): Promise<KeyRing | undefined> {
    const keys = await readKeysObject(this.#repository, await this.#operatorKey(), signal);
    if (keys !== undefined) this.#ring = ringOf(keys);
    return this.#ring;
  }

  /** Shared by all who ask meanwhile, so no signal of theirs ends it; the store's time limits do. */
  async #read(): Promise<KeyRing | undefined> {
    const ring = await this.again(undefined);
    if (ring === undefined) await requireNothingStored(this.#repository, undefined);
    return ring;
  }

  async #create(): Promise<KeyRing> {
    const { log, name } = this.#repository;
    const lock = await lockOf(await this.#operatorKey());
    const isFirst = await createKeys(this.#repository, lock, { clock: this.#clock, signal: undefined });
    if (isFirst) log.info("this repository is encrypted from now on", { repository: name });
    const ring = await this.again(undefined);
    if (ring !== undefined) return ring;
    throw new EngineError(
      "object-missing",
      `the keys of repository "${describeRepository(this.#repository)}" were removed while they were being made`,
    );
  }
}

/**
 * Makes the first key of a repository that holds nothing; false when somebody else was first, whose keys count then. A
 * crash leaves nothing, or keys that are as good as any.
 *
 * Two who do so at the same time must not go on with a key each: what one of them had encrypted until then could not be
 * read any more. A store with conditional writes lets one win. Elsewhere the last one wins, so each waits until the other
 * must have written before it reads what counts.
 *
 * @throws EngineError `store-missing` when the repository was begun before by this machine, so that its disk is not mounted;
 * as `requireNothingStored`.
 */
export async function createKeys(
  repository: Repository,
  lock: Lock,
  { clock = systemClock, signal }: { readonly clock?: Clock; readonly signal: AbortSignal | undefined },
): Promise<boolean> {
  await requireNothingStored(repository, signal);
  await requireNotClaimedBefore(repository, "keys");
  const first = { key: generateRepositoryKey(), createdAt: clock.now() };
  try {
    await writeKeysObject(repository, { recipients: [], keys: [first] }, lock, { ifAbsent: true, signal });
  } catch (error) {
    if (isEngineError(error, "object-exists")) return false;
    throw error;
  }
  if (!repository.store.capabilities.conditionalCreate) await clock.sleep(settleMs, signal);
  return true;
}
