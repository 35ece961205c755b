/**
 * Trying again, in the one place where that is decided. Every call of the port may be repeated, with three that need care:
 *
 * - `put` with `ifAbsent`: when an answer was lost, the object found on the next attempt may be our own. It is read back
 *   and compared; identical bytes are success, whoever wrote them.
 * - bodies go on from the byte they reached, if the object is still the same one.
 * - listings go on behind the last entry.
 */
import { throwIfAborted } from "../../common/abort.ts";
import { systemClock, type Clock } from "../../common/clock.ts";
import { describeError, isEngineError } from "../../common/errors.ts";
import { silentLog, type Log } from "../../common/log.ts";
import { compareKeys } from "../object-key.ts";
import type {
  AbandonedUpload,
  ByteRange,
  CallOptions,
  ListEntry,
  ObjectInfo,
  ObjectStore,
  ObjectUpload,
  OpenObject,
  WriteOptions,
} from "../object-store.ts";
import { tapIterable } from "./intercept.ts";
import { holdsExactly, reopen } from "./reread.ts";
import { defaultRetryPolicy, retryDelayMs, type RetryPolicy } from "./retry-policy.ts";

export interface RetryOptions extends Partial<RetryPolicy> {
  readonly clock?: Clock;
  readonly log?: Log;
  /** From [0, 1). */
  readonly random?: () => number;
}

/** One sequence of attempts. */
interface Attempts {
  /** Waits before the next attempt, or throws `error` when there shall be none. */
  failed(error: unknown): Promise<void>;
  /** Something was achieved: counting starts anew. */
  progress(): void;
}

/** A store that repeats what failed with a retryable error, within the policy. Each repetition is a `warn` line. */
export function withRetry(store: ObjectStore, options: RetryOptions = {}): ObjectStore {
  const { clock = systemClock, log = silentLog, random = Math.random } = options;
  const policy: RetryPolicy = { ...defaultRetryPolicy, ...options };

  const startAttempts = (what: string, signal: AbortSignal | undefined): Attempts => {
    let attempt = 1;
    let startMs = clock.monotonicMs();
    return {
      progress: () => {
        attempt = 1;
        startMs = clock.monotonicMs();
      },
      failed: async (error) => {
        throwIfAborted(signal);
        const delayMs = retryDelayMs(policy, error, attempt, clock.monotonicMs() - startMs, random());
        if (delayMs === undefined) throw error;
        log.warn(`could not ${what}, trying again`, {
          store: store.url,
          attempt,
          delayMs: Math.round(delayMs),
          error: describeError(error),
        });
        attempt++;
        await clock.sleep(delayMs, signal);
      },
    };
  };

  const repeat = async <T>(what: string, options: CallOptions, run: () => Promise<T>): Promise<T> => {
    const attempts = startAttempts(what, options.signal);
    for (;;) {
      try {
        return await run();
      } catch (error) {
        await attempts.failed(error);
      }
    }
  };

  const putIfAbsent = async (
    key: string,
    pieces: readonly Uint8Array[],
    options: WriteOptions,
  ): Promise<ObjectInfo> => {
    let answerLost = false;
    return repeat(`write "${key}"`, options, async () => {
      try {
        return await store.put(key, pieces, options);
      } catch (error) {
        if (isEngineError(error, "object-exists") && answerLost) {
          const info = await holdsExactly(store, key, pieces, options);
          if (info !== undefined) return info;
        }
        answerLost ||= isEngineError(error) && error.retryable;
        throw error;
      }
    });
  };

  const wrapUpload = (key: string, upload: ObjectUpload): ObjectUpload => ({
    writePart: async (index, pieces, options = {}) =>
      repeat(`write part ${index} of "${key}"`, options, async () =>
        upload.writePart(index, pieces, options),
      ),
    complete: async (options = {}) =>
      repeat(`complete "${key}"`, options, async () => upload.complete(options)),
    abort: async (options = {}) =>
      repeat(`abort the upload of "${key}"`, options, async () => upload.abort(options)),
  });

  const resumingBody = (
    first: OpenObject,
    options: CallOptions & { readonly range?: ByteRange },
  ): AsyncIterable<Uint8Array> => {
    const { key, sizeBytes } = first.info;
    const end = Math.min(options.range?.endByte ?? sizeBytes, sizeBytes);
    const attempts = startAttempts(`read "${key}"`, options.signal);
    let position = options.range?.startByte ?? 0;
    let source: AsyncIterator<Uint8Array> | undefined = first.body[Symbol.asyncIterator]();

    const step = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
      for (;;) {
        try {
          source ??= (await reopen(store, first.info, { startByte: position, endByte: end }, options))[
            Symbol.asyncIterator
          ]();
          const next = await source.next();
          if (next.done === true) return { done: true, value: undefined };
          position += next.value.length;
          attempts.progress();
          return next;
        } catch (error) {
          source = undefined;
          // All bytes are here: only the goodbye was lost.
          if (position === end && end > 0) return { done: true, value: undefined };
          await attempts.failed(error);
        }
      }
    };
    const iterator: AsyncIterableIterator<Uint8Array> = {
      [Symbol.asyncIterator]: () => iterator,
      next: step,
      return: async () => {
        await source?.return?.();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  };

  async function* resumingList(
    prefix: string,
    options: NonNullable<Parameters<ObjectStore["list"]>[1]>,
  ): AsyncGenerator<ListEntry> {
    const attempts = startAttempts(`list "${prefix}"`, options.signal);
    let last: string | undefined;
    for (;;) {
      try {
        const startAfter = last ?? options.startAfter;
        for await (const entry of store.list(prefix, {
          ...options,
          ...(startAfter === undefined ? {} : { startAfter }),
        })) {
          const name = entry.kind === "object" ? entry.key : entry.prefix;
          // A common prefix that was listed comes again, for the keys in it that lie behind it.
          if (last !== undefined && compareKeys(name, last) <= 0) continue;
          yield entry;
          last = name;
          attempts.progress();
        }
        return;
      } catch (error) {
        await attempts.failed(error);
      }
    }
  }

  async function* resumingUploads(prefix: string, options: CallOptions): AsyncGenerator<AbandonedUpload> {
    const attempts = startAttempts(`list unfinished uploads below "${prefix}"`, options.signal);
    const seen = new Set<string>();
    for (;;) {
      try {
        for await (const upload of store.abandonedUploads(prefix, options)) {
          if (seen.has(upload.uploadId)) continue;
          seen.add(upload.uploadId);
          yield upload;
          attempts.progress();
        }
        return;
      } catch (error) {
        await attempts.failed(error);
      }
    }
  }

  return {
    url: store.url,
    get capabilities() {
      return store.capabilities;
    },
    head: async (key, options = {}) =>
      repeat(`look at "${key}"`, options, async () => store.head(key, options)),
    list: (prefix, options = {}) => tapIterable(() => resumingList(prefix, options), {}),
    get: async (key, options = {}) => {
      const opened = await repeat(`read "${key}"`, options, async () => store.get(key, options));
      return opened === undefined ? undefined : { info: opened.info, body: resumingBody(opened, options) };
    },
    put: async (key, pieces, options = {}) =>
      options.ifAbsent === true
        ? putIfAbsent(key, pieces, options)
        : repeat(`write "${key}"`, options, async () => store.put(key, pieces, options)),
    startUpload: async (key, options = {}) =>
      wrapUpload(
        key,
        await repeat(`start to write "${key}"`, options, async () => store.startUpload(key, options)),
      ),
    delete: async (keys, options = {}) =>
      repeat(`delete "${keys[0] ?? ""}"`, options, async () => store.delete(keys, options)),
    abandonedUploads: (prefix, options = {}) => tapIterable(() => resumingUploads(prefix, options), {}),
    abortAbandonedUpload: async (upload, options = {}) =>
      repeat(`abort the upload of "${upload.key}"`, options, async () =>
        store.abortAbandonedUpload(upload, options),
      ),
    close: async () => store.close(),
  };
}
