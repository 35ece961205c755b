/**
 * A store that fails on request, around a real one. The faults it injects, and no others:
 *
 * - `unavailable`: the call fails with `store-unavailable` before it has any effect (a refused connection, SlowDown).
 * - `lost-answer`: the call takes effect, then fails with `store-unavailable` (a connection cut before the answer).
 * - `denied`: the call fails with `store-denied`, before any effect; not retryable.
 * - `crash`: the call has no effect, and neither has any later one: all fail with `SimulatedCrash`, as if the process had
 *   been killed. Uploads under way stay behind as abandoned ones.
 * - `crash-after`: the call takes effect, then as `crash`: killed before the answer was read.
 * - `torn-part`: of a part, only the first half reaches the store, then as `crash`. Other calls: as `crash`.
 * - `truncated-body`: the body ends half way with `store-unavailable` (a connection cut while reading).
 * - `corrupted-body`: one bit of the body is flipped, and nothing says so.
 *
 * Independent of the above: `latencyMs` before every call, and `staleKeys`: listings miss the newest n objects written
 * through this store (a store without read-after-write consistency of lists).
 *
 * Calls are counted from 1, in the order they arrive; each entry of `StoreOperation` is a call, and a listing is one.
 * `truncated-body` and `corrupted-body` count `get` calls only.
 */
import { systemClock, type Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { createBody, discardBody } from "../object-body.ts";
import type { ObjectInfo, ObjectStore, ObjectUpload, OpenObject } from "../object-store.ts";
import { byteLength } from "../upload-parts.ts";
import { interceptStore, tapIterable, type StoreCall, type StoreOperation } from "../wrappers/intercept.ts";

type FaultKind =
  | "unavailable"
  | "lost-answer"
  | "denied"
  | "crash"
  | "crash-after"
  | "torn-part"
  | "truncated-body"
  | "corrupted-body";

export interface FaultPlan {
  /** Default `unavailable`. */
  readonly kind?: FaultKind;
  /** The call to fail, from 1; counts only calls of `operation`, if that is given. Absent or 0: none. */
  readonly failAtCall?: number;
  /** Only these calls count and fail. */
  readonly operation?: StoreOperation;
  /** These calls neither count nor fail. */
  readonly spare?: readonly StoreOperation[];
  /** Fails each call with this chance as well, from 0 to 1; the same seed gives the same faults. */
  readonly probability?: number;
  readonly seed?: number;
  readonly latencyMs?: number;
  readonly staleKeys?: number;
  readonly clock?: Clock;
}

/** What every call throws once the process is taken for killed. No EngineError: nothing may handle it. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

export interface FaultyStore extends ObjectStore {
  /** Calls that counted so far. Run a scenario without a fault to learn how many there are, then fail each in turn. */
  readonly calls: number;
  /** Faults injected so far. */
  readonly faults: number;
}

export function faultyStore(inner: ObjectStore, plan: FaultPlan = {}): FaultyStore {
  const kind = plan.kind ?? "unavailable";
  const concernsBody = kind === "truncated-body" || kind === "corrupted-body";
  const clock = plan.clock ?? systemClock;
  const random = seededRandom(plan.seed ?? 1);
  const newest: string[] = [];
  let calls = 0;
  let faults = 0;
  let crashed = false;

  const strikes = (call: StoreCall): boolean => {
    if (plan.operation !== undefined && call.operation !== plan.operation) return false;
    if (plan.spare?.includes(call.operation) === true) return false;
    if (concernsBody && call.operation !== "get") return false;
    calls++;
    const struck =
      calls === plan.failAtCall || (plan.probability !== undefined && random() < plan.probability);
    if (struck) faults++;
    return struck;
  };
  const fail = (call: StoreCall): Error => {
    if (kind === "unavailable" || kind === "lost-answer") {
      return new EngineError(
        "store-unavailable",
        `injected fault: ${kind} at ${call.operation} "${call.key}"`,
      );
    }
    if (kind === "denied")
      return new EngineError("store-denied", `injected fault at ${call.operation} "${call.key}"`);
    crashed = true;
    return new SimulatedCrash(`${kind} at ${call.operation} "${call.key}"`);
  };
  const before = async (call: StoreCall): Promise<boolean> => {
    if (crashed) throw new SimulatedCrash(`${call.operation} "${call.key}" after the crash`);
    const struck = strikes(call);
    if (plan.latencyMs !== undefined) await clock.sleep(plan.latencyMs);
    return struck;
  };
  const hasEffect = kind === "lost-answer" || kind === "crash-after";
  const damaged = new WeakSet<OpenObject>();
  const tear = { next: false };

  const wrapped = interceptStore(tearableParts(inner, tear), {
    call: async (call, options, run) => {
      const struck = await before(call);
      if (struck && kind === "torn-part" && call.operation === "writePart") tear.next = true;
      else if (struck && !hasEffect && !concernsBody) throw fail(call);
      const result = await run(options);
      if (call.operation === "put" || call.operation === "completeUpload") newest.push(call.key);
      if (struck && isOpenObject(result)) {
        if (concernsBody) damaged.add(result);
        else await discardBody(result);
      }
      if (struck && !concernsBody) throw fail(call);
      return result;
    },
    listing: (call, options, open) => {
      let started = false;
      return tapIterable(() => withoutNewest(open(options), newest, plan.staleKeys ?? 0), {
        step: async (next) => {
          const struck = !started && (await before(call));
          started = true;
          if (struck) throw fail(call);
          return next();
        },
      });
    },
    body: (_call, _options, opened) => {
      if (!damaged.has(opened)) return opened.body;
      return kind === "truncated-body" ? truncated(opened) : corrupted(opened);
    },
  });
  return Object.defineProperties(wrapped, {
    calls: { get: () => calls },
    faults: { get: () => faults },
  }) as FaultyStore;
}

/** A killed process's files are closed by the kernel; here, collecting an upload with an open file would be a warning. */
const leftBehind: ObjectUpload[] = [];

/** A store whose next written part is cut in half when `tear.next` is set at the moment of the call. */
function tearableParts(inner: ObjectStore, tear: { next: boolean }): ObjectStore {
  const store = interceptStore(inner, {});
  return Object.defineProperty(store, "startUpload", {
    value: async (...args: Parameters<ObjectStore["startUpload"]>): Promise<ObjectUpload> => {
      const upload = await inner.startUpload(...args);
      leftBehind.push(upload);
      return {
        writePart: async (index, pieces, options) => {
          const torn = tear.next;
          tear.next = false;
          await upload.writePart(index, torn ? firstHalf(pieces) : pieces, options);
        },
        complete: async (options) => upload.complete(options),
        abort: async (options) => upload.abort(options),
      };
    },
  });
}

function firstHalf(pieces: readonly Uint8Array[]): Uint8Array[] {
  return [Buffer.concat(pieces).subarray(0, Math.ceil(byteLength(pieces) / 2))];
}

async function* withoutNewest<T>(
  entries: AsyncIterable<T>,
  written: readonly string[],
  count: number,
): AsyncGenerator<T> {
  const hidden = new Set(count === 0 ? [] : [...new Set(written.toReversed())].slice(0, count));
  for await (const entry of entries) {
    if (!hidden.has((entry as Partial<ObjectInfo>).key ?? "")) yield entry;
  }
}

function truncated(opened: OpenObject): AsyncIterable<Uint8Array> {
  let left = Math.floor(opened.info.sizeBytes / 2);
  return mapBody(opened, (chunk) => {
    if (left <= 0) throw new EngineError("store-unavailable", `injected fault: "${opened.info.key}" was cut`);
    const kept = chunk.subarray(0, left);
    left -= kept.length;
    return kept;
  });
}

function corrupted(opened: OpenObject): AsyncIterable<Uint8Array> {
  let flipped = false;
  return mapBody(opened, (chunk) => {
    const at = Math.floor(chunk.length / 2);
    if (!flipped) chunk[at] = (chunk[at] ?? 0) ^ 0x10;
    flipped = true;
    return chunk;
  });
}

/** `change` also gets an empty chunk at the end, where a body that is to be cut must not end well. */
function mapBody(opened: OpenObject, change: (chunk: Uint8Array) => Uint8Array): AsyncIterable<Uint8Array> {
  const source = opened.body[Symbol.asyncIterator]();
  return createBody({
    read: async () => {
      const step = await source.next();
      const chunk = change(step.done === true ? new Uint8Array() : step.value);
      return step.done === true ? undefined : chunk;
    },
    close: async () => discardBody(opened),
  });
}

function isOpenObject(value: unknown): value is OpenObject {
  return typeof value === "object" && value !== null && "body" in value && "info" in value;
}

/** mulberry32: small, and the same everywhere. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
