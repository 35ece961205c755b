import { unfit, type CheckFact } from "../check-fact.ts";
import { contentOf, isRefusedAsTaken, scratchKey, type Probe, type ProbeLab } from "../lab.ts";

const topic = "condition";
const rounds = 3;

/** Whether a write that must not replace anything does not: one after the other, and two at once. */
export const probeCondition: Probe = async (lab) => {
  const { store, signal } = lab;
  const key = scratchKey(lab, "once");
  await store.put(key, [Buffer.from("first")], { ifAbsent: true, signal });
  const refused = await isRefusedAsTaken(async () =>
    store.put(key, [Buffer.from("second")], { ifAbsent: true, signal }),
  );
  if (!refused || String(await contentOf(lab, key, 100)) !== "first") {
    return [unfit(topic, "a write that must not replace anything has replaced an object", hint)];
  }
  const winners: number[] = [];
  for (let round = 0; round < rounds; round++) winners.push(await race(lab, round));
  if (winners.includes(0))
    return [unfit(topic, "of two conditional writes at once, both were refused", hint)];
  if (!store.capabilities.conditionalCreate) return [unguarded];
  return winners.every((count) => count === 1)
    ? [
        {
          topic,
          verdict: "ok",
          text: '"write only what is not there yet" holds, also of two writers at once',
        },
      ]
    : [unfit(topic, "of two conditional writes at once, both were accepted", hint)];
};

const hint = "Set conditional-create=never, so that Tidemark looks before it writes; or use another store.";

const unguarded: CheckFact = {
  topic,
  verdict: "warn",
  text: 'the store does not know "write only what is not there yet"',
  consequence:
    "Tidemark looks before it writes, and refuses what differs; of two machines that write one name in the same moment, the later would win",
  hint: "Never let two servers archive under one server name.",
};

/** How many of two writers at once were told that they had written. */
async function race(lab: ProbeLab, round: number): Promise<number> {
  const key = scratchKey(lab, `race-${round}`);
  const writers = ["one", "two"].map(async (text) =>
    isRefusedAsTaken(async () =>
      lab.store.put(key, [Buffer.from(text)], { ifAbsent: true, signal: lab.signal }),
    ),
  );
  const settled = await Promise.allSettled(writers);
  const failed = settled.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return settled.filter((outcome) => outcome.status === "fulfilled" && !outcome.value).length;
}
