import { describeError, EngineError } from "../common/errors.ts";
import type { Repository } from "../repository/repository.ts";
import type { StoredForm } from "../repository/stored-form.ts";

/** Something that is on its way into a repository, and can be given up. */
export interface PendingUpload {
  /** Never throws. */
  abort(): Promise<void>;
}

/** One repository of a backup: the form it gets it in, whether it still takes part, and how far behind it is. */
export class Destination {
  readonly repository: Repository;
  readonly form: StoredForm;
  /** Fires when the repository is dropped, and when the whole backup is given up. */
  readonly signal: AbortSignal;
  /** `backup.info` is there: nothing of the backup may be removed. */
  isVisible = false;
  /** Encoded bytes that are to go there and have not arrived. */
  behindBytes = 0;
  readonly uploads = new Set<PendingUpload>();
  readonly #dropped = new AbortController();
  readonly #left: Promise<never>;

  constructor(repository: Repository, form: StoredForm, signal: AbortSignal) {
    this.repository = repository;
    this.form = form;
    this.signal = AbortSignal.any([signal, this.#dropped.signal]);
    this.#left = new Promise((_resolve, reject) => {
      const leave = () => reject(asEngineError(this.#dropped.signal.reason));
      this.#dropped.signal.addEventListener("abort", leave, { once: true });
    });
    // Whoever waits for something sees it.
    this.#left.catch(() => undefined);
  }

  get isLive(): boolean {
    return !this.#dropped.signal.aborted;
  }

  /** Why it was dropped; undefined while it takes part. */
  get reason(): EngineError | undefined {
    const reason: unknown = this.#dropped.signal.reason;
    return reason instanceof EngineError ? reason : undefined;
  }

  /** Ends its part in the backup. The first reason stays. */
  drop(error: unknown): void {
    this.#dropped.abort(asEngineError(error));
  }

  /** Waits for `work`, but not beyond the moment at which the repository is dropped: it may hang. */
  async whileLive<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#left]);
  }
}

function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  return new EngineError("backup-failed", describeError(error), { cause: error });
}
