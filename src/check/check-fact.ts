import type { ErrorCode } from "../common/error-codes.ts";

export type CheckVerdict = "ok" | "warn" | "fail";

/** One thing that was found out about a store, in plain words. */
export interface CheckFact {
  /** A word: `list`. */
  readonly topic: string;
  /** `warn`: it works, and somebody should know; `fail`: Tidemark cannot rely on this store as it is. */
  readonly verdict: CheckVerdict;
  /** What the store does or does not do. Lower case, without a full stop. */
  readonly text: string;
  /** What Tidemark does about it, where that says more. */
  readonly consequence?: string;
  /** A full sentence: what to do. */
  readonly hint?: string;
  /** Of a failure. */
  readonly code?: ErrorCode;
}

/** A failure that the store did not report itself: it did something else than it should. */
export function unfit(topic: string, text: string, hint?: string): CheckFact {
  return { topic, verdict: "fail", text, code: "store-unfit", ...(hint === undefined ? {} : { hint }) };
}
