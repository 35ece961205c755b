import { EngineError, isEngineError } from "../common/errors.ts";
import type { Repository } from "../repository/repository.ts";
import { storeStream, type StoreStreamOptions } from "../storage/store-stream.ts";

/*
 * Writing into the repository that is being put right. What goes wrong there is told from what goes wrong where the bytes come
 * from: another source helps only against the latter.
 */

/** Runs a call to the target's store; what it throws is marked as the target's. */
export async function aimed<T>(target: Repository, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw ofTarget(target, error);
  }
}

export function isOfTarget(error: unknown): boolean {
  return isEngineError(error) && error.details["isOfTarget"] === true;
}

/** Stores a stream under a key. False when there is something already, with `ifAbsent`. */
export async function storeInTarget(
  target: Repository,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: StoreStreamOptions,
): Promise<boolean> {
  let failed: { readonly error: unknown } | undefined;
  const noting = (error: unknown): never => {
    failed ??= { error };
    throw error;
  };
  const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* body;
    } catch (error) {
      noting(error);
    }
  };
  const verify = (): void => {
    try {
      options.verify();
    } catch (error) {
      noting(error);
    }
  };
  try {
    await storeStream(target.store, key, watched(), { ...options, verify });
    return true;
  } catch (error) {
    if (failed !== undefined) throw failed.error;
    // Somebody else was first.
    if (options.ifAbsent === true && isEngineError(error, "object-exists")) return false;
    throw ofTarget(target, error);
  }
}

function ofTarget(target: Repository, error: unknown): unknown {
  if (!isEngineError(error) || error.code === "aborted") return error;
  return new EngineError(error.code, `could not write to repository "${target.name}": ${error.message}`, {
    cause: error,
    retryable: error.retryable,
    details: { ...error.details, isOfTarget: true },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
