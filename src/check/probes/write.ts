import { kib } from "../../common/units.ts";
import { unfit, type CheckFact } from "../check-fact.ts";
import { contentOf, freshBytes, scratchKey, type Probe, type ProbeLab } from "../lab.ts";

const topic = "write";

/** Whether what is written is there at once, as it was: an object, an empty one, and one written anew. */
export const probeWrite: Probe = async (lab) => {
  const { store, signal } = lab;
  const contents = [
    { name: "object", bytes: freshBytes(64 * kib) },
    { name: "empty object", bytes: Buffer.alloc(0) },
    { name: "object written anew", bytes: freshBytes(3 * kib) },
  ];
  const key = scratchKey(lab, "written");
  for (const { name, bytes } of contents) {
    await store.put(key, [bytes], { signal });
    const problem = await differs(lab, key, bytes);
    if (problem !== undefined) return [unfit(topic, `an ${name} ${problem}`, hint)];
  }
  const fact: CheckFact = {
    topic,
    verdict: "ok",
    text: "what is written is read back byte for byte, at once",
  };
  return [fact];
};

const hint =
  "A cache or a proxy between here and the store may be answering in its place; name the store itself.";

async function differs(lab: ProbeLab, key: string, bytes: Buffer): Promise<string | undefined> {
  const info = await lab.store.head(key, { signal: lab.signal });
  if (info === undefined) return "is not found after it was written";
  if (info.sizeBytes !== bytes.length) return `of ${bytes.length} bytes is said to have ${info.sizeBytes}`;
  const read = await contentOf(lab, key, bytes.length);
  return read?.equals(bytes) === true ? undefined : "is read back with other bytes";
}
