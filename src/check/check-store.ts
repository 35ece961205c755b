/**
 * What a store can and cannot do, found out by doing it: below a scratch prefix, which is removed again whatever happens.
 * Nothing else in the store is touched.
 */
import { randomBytes } from "node:crypto";
import { systemClock, type Clock } from "../common/clock.ts";
import { throwIfAborted } from "../common/abort.ts";
import { mib } from "../common/units.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { ObjectHeaders } from "../storage/s3/s3-objects.ts";
import { withRetry } from "../storage/wrappers/retry.ts";
import { withTimeout } from "../storage/wrappers/timeout.ts";
import type { CheckFact } from "./check-fact.ts";
import { runProbe, type Probe, type ProbeLab } from "./lab.ts";
import { probeClock } from "./probes/clock.ts";
import { probeCondition } from "./probes/condition.ts";
import { probeDelete } from "./probes/delete.ts";
import { probeList } from "./probes/list.ts";
import { probeMultipart } from "./probes/multipart.ts";
import { probeRange } from "./probes/range.ts";
import { probeReach } from "./probes/reach.ts";
import { settingsProbe } from "./probes/settings.ts";
import { speedProbe } from "./probes/speed.ts";
import { probeWrite } from "./probes/write.ts";
import { removeScratch } from "./remove-scratch.ts";

export interface CheckStoreOptions {
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** What the settings ask of the store for the object under a key. */
  readonly asked?: (key: string) => ObjectHeaders;
  /** Size of the object that the speed is measured with. Default 8 MiB. */
  readonly sampleBytes?: number;
  /** Told of each fact when it is found. */
  readonly onFact?: (fact: CheckFact) => void;
}

/** Without these nothing else can be found out. */
const essential = new Set(["reach", "write"]);

/**
 * Looks at a store and gives what was found. Failures of the store are facts; the caller closes the store.
 *
 * @throws EngineError `aborted` when it was stopped; the scratch prefix is removed then as well.
 */
export async function checkStore(
  unwrapped: ObjectStore,
  options: CheckStoreOptions,
): Promise<readonly CheckFact[]> {
  const { signal, clock = systemClock, asked = () => ({}), onFact = () => undefined } = options;
  // Somebody is waiting: one that is down is said to be after a second, not after minutes.
  const store = withRetry(withTimeout(unwrapped, { callMs: 30_000, idleMs: 30_000, abortGraceMs: 5000 }), {
    maxAttempts: 3,
    clock,
  });
  const lab: ProbeLab = { store, clock, signal, prefix: `tidemark-check-${randomBytes(6).toString("hex")}` };
  const facts: CheckFact[] = [];
  const add = (found: readonly CheckFact[]): void => {
    for (const fact of found) {
      facts.push(fact);
      onFact(fact);
    }
  };
  try {
    for (const [topic, probe] of probesWith(asked, options.sampleBytes ?? 8 * mib)) {
      throwIfAborted(signal);
      const found = await runProbe(topic, probe, lab);
      add(found);
      if (essential.has(topic) && found.some(({ verdict }) => verdict === "fail")) return facts;
    }
    add(remarksOf(store, facts));
    return facts;
  } finally {
    // Nothing was written by whoever was not let in.
    if (facts.some(({ topic, verdict }) => topic === "reach" && verdict === "ok"))
      add(await removeScratch(lab));
  }
}

function probesWith(
  asked: (key: string) => ObjectHeaders,
  sampleBytes: number,
): readonly (readonly [string, Probe])[] {
  return [
    ["reach", probeReach],
    ["write", probeWrite],
    ["clock", probeClock],
    ["condition", probeCondition],
    ["list", probeList],
    ["range", probeRange],
    ["multipart", probeMultipart],
    ["delete", probeDelete],
    ["settings", settingsProbe(asked)],
    ["speed", speedProbe(sampleBytes)],
  ];
}

/** What is known of this kind of store, beyond what was tried; what was found out by itself is not said again. */
function remarksOf(
  { capabilities: { remarks = [] } }: ObjectStore,
  found: readonly CheckFact[],
): readonly CheckFact[] {
  return remarks.flatMap((remark) => {
    const verdict = remark.hint === undefined ? "ok" : "warn";
    const isKnown = found.some((fact) => fact.topic === remark.topic && fact.verdict === "warn");
    return verdict === "warn" && isKnown ? [] : [{ ...remark, verdict }];
  });
}
