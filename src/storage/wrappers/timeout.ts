/** Every wait on a store ends: a limit on each call, and on the silence between the chunks of a body or listing. */
import { abortError } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { formatDuration, kib } from "../../common/units.ts";
import { discardBody } from "../object-body.ts";
import type { CallOptions, ObjectStore, OpenObject } from "../object-store.ts";
import { interceptStore, tapIterable, type StoreCall } from "./intercept.ts";

export interface TimeoutOptions {
  /** For one call without content, in ms. Default 60 000. */
  readonly callMs?: number;
  /** Calls with content get this much more time per byte; below it a connection counts as stuck. Default 64 KiB/s. */
  readonly minBytesPerSecond?: number;
  /** Silence in a body or listing, in ms. Default 60 000. */
  readonly idleMs?: number;
  /** How long after its signal fired a call may take to heed it, in ms. Default 30 000: a disk may have much to sync. */
  readonly abortGraceMs?: number;
}

/** A store whose calls fail with `store-unavailable` when they take too long; what was begun is told to stop. */
export function withTimeout(store: ObjectStore, options: TimeoutOptions = {}): ObjectStore {
  const { callMs = 60_000, minBytesPerSecond = 64 * kib, idleMs = 60_000, abortGraceMs = 30_000 } = options;
  return interceptStore(store, {
    call: async (call, callOptions, run) => {
      const limitMs = callMs + (call.bytes / minBytesPerSecond) * 1000;
      const limited = limit(callOptions);
      const expired = () => timeoutError(store, call, limitMs);
      const work = async () => {
        const result = await run(limited.options);
        // Nobody waits for it any more; an object opened too late would stay open.
        if (limited.stopped() && isOpenObject(result)) await discardBody(result);
        return result;
      };
      return raceWithin(limitMs, limited.stop, expired, async () =>
        leaveAfterAbort(work, callOptions.signal, abortGraceMs),
      );
    },
    listing: (call, callOptions, open) => {
      const limited = limit(callOptions);
      return tapIterable(() => open(limited.options), {
        step: async (next) => raceWithin(idleMs, limited.stop, () => timeoutError(store, call, idleMs), next),
      });
    },
    // The failure of a step closes the body, which ends its connection.
    body: (call, _callOptions, opened) =>
      tapIterable(() => opened.body, {
        step: async (next) => raceWithin(idleMs, ignore, () => timeoutError(store, call, idleMs), next),
      }),
  });
}

const ignore = (): void => undefined;

interface Limited {
  readonly options: CallOptions;
  readonly stop: (reason: EngineError) => void;
  readonly stopped: () => boolean;
}

function limit(options: CallOptions): Limited {
  const controller = new AbortController();
  const signal =
    options.signal === undefined ? controller.signal : AbortSignal.any([options.signal, controller.signal]);
  return {
    options: { ...options, signal },
    stop: (reason) => controller.abort(reason),
    stopped: () => controller.signal.aborted,
  };
}

function isOpenObject(value: unknown): value is OpenObject {
  return typeof value === "object" && value !== null && "body" in value && "info" in value;
}

/** Rejects after `ms` even when what runs does not heed its signal (a file system that hangs). */
async function raceWithin<T>(
  ms: number,
  stop: (reason: EngineError) => void,
  createError: () => EngineError,
  run: () => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const reason = createError();
      stop(reason);
      reject(reason);
    }, ms);
  });
  try {
    return await Promise.race([run(), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Rejects some time after the signal has fired, when what runs has not ended by then. */
async function leaveAfterAbort<T>(
  run: () => Promise<T>,
  signal: AbortSignal | undefined,
  graceMs: number,
): Promise<T> {
  if (signal === undefined) return run();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = ignore;
  const left = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(abortError(signal)), graceMs);
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([run(), left]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearTimeout(timer);
  }
}

const verbs: Readonly<Record<StoreCall["operation"], string>> = {
  head: "look at",
  list: "list",
  get: "read",
  put: "write",
  startUpload: "start to write",
  writePart: "write a part of",
  completeUpload: "complete",
  abortUpload: "abort the upload of",
  delete: "delete",
  abandonedUploads: "list unfinished uploads below",
  abortAbandonedUpload: "abort the upload of",
};

function timeoutError(store: ObjectStore, call: StoreCall, limitMs: number): EngineError {
  return new EngineError(
    "store-unavailable",
    `could not ${verbs[call.operation]} "${call.key}" in ${store.url}: no answer within ${formatDuration(limitMs)}`,
  );
}
