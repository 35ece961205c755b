/**
 * The shape that most wrappers share: something happens around every call, every listing and every body. An interceptor
 * names only what it changes; all else goes through.
 */
import type { CallOptions, ObjectStore, ObjectUpload, OpenObject } from "../object-store.ts";
import { byteLength } from "../upload-parts.ts";

export const storeOperations = [
  "head",
  "list",
  "get",
  "put",
  "startUpload",
  "writePart",
  "completeUpload",
  "abortUpload",
  "delete",
  "abandonedUploads",
  "abortAbandonedUpload",
] as const;

export type StoreOperation = (typeof storeOperations)[number];

export interface StoreCall {
  readonly operation: StoreOperation;
  /** The key, or the prefix of a listing; of several keys the first. */
  readonly key: string;
  /** Content sent with the call. */
  readonly bytes: number;
}

export interface Interceptor {
  /** Around one call. `run` may be given other options, and be called at most once. */
  call?<T>(call: StoreCall, options: CallOptions, run: (options: CallOptions) => Promise<T>): Promise<T>;
  /** Around one listing; each entry is a step. */
  listing?<T>(
    call: StoreCall,
    options: CallOptions,
    open: (options: CallOptions) => AsyncIterable<T>,
  ): AsyncIterable<T>;
  /** Around the body of an opened object. */
  body?(call: StoreCall, options: CallOptions, opened: OpenObject): AsyncIterable<Uint8Array>;
}

/** A store that does what `inner` does, through `interceptor`. Closing it closes `inner`. */
export function interceptStore(inner: ObjectStore, interceptor: Interceptor): ObjectStore {
  const around = async <T>(
    call: StoreCall,
    options: CallOptions,
    run: (options: CallOptions) => Promise<T>,
  ): Promise<T> => (interceptor.call === undefined ? run(options) : interceptor.call(call, options, run));
  const listing = <T>(
    call: StoreCall,
    options: CallOptions,
    open: (options: CallOptions) => AsyncIterable<T>,
  ): AsyncIterable<T> =>
    interceptor.listing === undefined ? open(options) : interceptor.listing(call, options, open);

  const wrapUpload = (key: string, upload: ObjectUpload): ObjectUpload => ({
    writePart: async (index, pieces, options = {}) =>
      around({ operation: "writePart", key, bytes: byteLength(pieces) }, options, async (inside) =>
        upload.writePart(index, pieces, inside),
      ),
    complete: async (options = {}) =>
      around({ operation: "completeUpload", key, bytes: 0 }, options, async (inside) =>
        upload.complete(inside),
      ),
    abort: async (options = {}) =>
      around({ operation: "abortUpload", key, bytes: 0 }, options, async (inside) => upload.abort(inside)),
  });

  return {
    url: inner.url,
    get capabilities() {
      return inner.capabilities;
    },
    head: async (key, options = {}) =>
      around({ operation: "head", key, bytes: 0 }, options, async (inside) => inner.head(key, inside)),
    list: (prefix, options = {}) =>
      listing({ operation: "list", key: prefix, bytes: 0 }, options, (inside) =>
        inner.list(prefix, { ...options, ...inside }),
      ),
    get: async (key, options = {}) => {
      const call: StoreCall = { operation: "get", key, bytes: 0 };
      const opened = await around(call, options, async (inside) => inner.get(key, { ...options, ...inside }));
      if (opened === undefined || interceptor.body === undefined) return opened;
      return { info: opened.info, body: interceptor.body(call, options, opened) };
    },
    put: async (key, pieces, options = {}) =>
      around({ operation: "put", key, bytes: byteLength(pieces) }, options, async (inside) =>
        inner.put(key, pieces, { ...options, ...inside }),
      ),
    startUpload: async (key, options = {}) => {
      const upload = await around({ operation: "startUpload", key, bytes: 0 }, options, async (inside) =>
        inner.startUpload(key, { ...options, ...inside }),
      );
      return wrapUpload(key, upload);
    },
    delete: async (keys, options = {}) =>
      around({ operation: "delete", key: keys[0] ?? "", bytes: 0 }, options, async (inside) =>
        inner.delete(keys, inside),
      ),
    abandonedUploads: (prefix, options = {}) =>
      listing({ operation: "abandonedUploads", key: prefix, bytes: 0 }, options, (inside) =>
        inner.abandonedUploads(prefix, inside),
      ),
    abortAbandonedUpload: async (upload, options = {}) =>
      around({ operation: "abortAbandonedUpload", key: upload.key, bytes: 0 }, options, async (inside) =>
        inner.abortAbandonedUpload(upload, inside),
      ),
    close: async () => inner.close(),
  };
}

export interface StepHooks<T> {
  /** Around waiting for each step. */
  readonly step?: <R>(next: () => Promise<R>) => Promise<R>;
  /** Before a step is handed on. */
  readonly item?: (item: T) => Promise<void> | void;
  /** Once, however it ends; `error` when it failed. */
  readonly end?: (error?: unknown) => void;
}

/** An iterable that can be left at any time, even before its first step, and calls the hooks. */
export function tapIterable<T>(open: () => AsyncIterable<T>, hooks: StepHooks<T>): AsyncIterable<T> {
  let source: AsyncIterator<T> | undefined;
  let ended = false;
  const end = (error?: unknown): void => {
    if (!ended) hooks.end?.(error);
    ended = true;
  };
  const iterator: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    next: async () => {
      if (ended) return { done: true, value: undefined };
      const from = (source ??= open()[Symbol.asyncIterator]());
      try {
        const next = async (): Promise<IteratorResult<T>> => from.next();
        const step = await (hooks.step === undefined ? next() : hooks.step(next));
        if (step.done === true) {
          end();
          return { done: true, value: undefined };
        }
        await hooks.item?.(step.value);
        return step;
      } catch (error) {
        // Whoever failed, hook or source: the source is not read any further. It may be stuck, so it is not waited for;
        // its own failure then says nothing new.
        if (!ended) void from.return?.()?.catch(() => undefined);
        end(error);
        throw error;
      }
    },
    return: async () => {
      if (ended) return { done: true, value: undefined };
      source ??= open()[Symbol.asyncIterator]();
      await source.return?.();
      end();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}
