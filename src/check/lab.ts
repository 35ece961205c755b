import { randomBytes } from "node:crypto";
import type { Clock } from "../common/clock.ts";
import { describeError, isEngineError } from "../common/errors.ts";
import { discardBody } from "../storage/object-body.ts";
import type { ByteRange, ObjectStore } from "../storage/object-store.ts";
import type { CheckFact } from "./check-fact.ts";

/** What probes work with. They write below `prefix` alone, each under names of its own. */
export interface ProbeLab {
  readonly store: ObjectStore;
  /** One step, where a server's name would be. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export type Probe = (lab: ProbeLab) => Promise<readonly CheckFact[]>;

/** A key that nobody else has, under the scratch prefix. */
export function scratchKey({ prefix }: Pick<ProbeLab, "prefix">, name: string): string {
  return `${prefix}/probe/${name}`;
}

/** What a probe found; what its calls threw is a fact as well. Being stopped is none, and thrown. */
export async function runProbe(topic: string, probe: Probe, lab: ProbeLab): Promise<readonly CheckFact[]> {
  try {
    return await probe(lab);
  } catch (error) {
    if (!isEngineError(error) || error.code === "aborted") throw error;
    const { code, hint } = error;
    return [
      { topic, verdict: "fail", text: describeError(error), code, ...(hint === undefined ? {} : { hint }) },
    ];
  }
}

/** Bytes that no compression and no other object has. */
export function freshBytes(sizeBytes: number): Buffer {
  return randomBytes(sizeBytes);
}

/** The content of an object or a part of it, or undefined when there is none. It stops reading beyond `maxBytes`. */
export async function contentOf(
  { store, signal }: ProbeLab,
  key: string,
  maxBytes: number,
  range?: ByteRange,
): Promise<Buffer | undefined> {
  const opened = await store.get(key, { signal, ...(range === undefined ? {} : { range }) });
  if (opened === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of opened.body) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) break;
  }
  await discardBody(opened);
  return Buffer.concat(chunks);
}

/** Whether a call failed with `object-exists`; other failures are thrown. */
export async function isRefusedAsTaken(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return false;
  } catch (error) {
    if (isEngineError(error, "object-exists")) return true;
    throw error;
  }
}
