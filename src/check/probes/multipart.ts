import { kib } from "../../common/units.ts";
import { unfit, type CheckFact } from "../check-fact.ts";
import { contentOf, freshBytes, isRefusedAsTaken, scratchKey, type Probe, type ProbeLab } from "../lab.ts";

const topic = "multipart";

/** Whether large objects can be written in parts, are seen only when whole, and leave nothing behind when dropped. */
export const probeMultipart: Probe = async (lab) => {
  const problem = (await probeWhole(lab)) ?? (await probeTaken(lab));
  if (problem !== undefined) return [problem];
  const leftovers = await probeDropped(lab);
  if (leftovers !== undefined) return [leftovers];
  return [
    {
      topic,
      verdict: "ok",
      text: "large objects are written in parts, seen when they are whole, and leave nothing behind when dropped",
    },
  ];
};

const hint = "Base backups are written in parts: use another store, or a newer version of its server.";

async function probeWhole(lab: ProbeLab): Promise<CheckFact | undefined> {
  const { store, signal } = lab;
  const { minPartBytes, parallelParts } = store.capabilities;
  const partBytes = Math.max(minPartBytes, 256 * kib);
  const [first, second] = [freshBytes(partBytes), freshBytes(1000)];
  const key = scratchKey(lab, "parts");
  const upload = await store.startUpload(key, { partBytes, signal });
  try {
    const [writeFirst, writeSecond] = [first, second].map(
      (bytes, index) => async () => upload.writePart(index, [bytes], { signal }),
    );
    if (parallelParts) await writeSecond?.();
    await writeFirst?.();
    if (!parallelParts) await writeSecond?.();
    if ((await store.head(key, { signal })) !== undefined)
      return unfit(topic, "an object is seen before it is whole", hint);
    await upload.complete({ signal });
  } catch (error) {
    await upload.abort().catch(() => undefined);
    throw error;
  }
  const whole = Buffer.concat([first, second]);
  const read = await contentOf(lab, key, whole.length);
  return read?.equals(whole) === true
    ? undefined
    : unfit(topic, "an object in two parts is read back with other bytes", hint);
}

/** An upload must not replace an object either, when that was asked for. */
async function probeTaken(lab: ProbeLab): Promise<CheckFact | undefined> {
  const { store, signal } = lab;
  const key = scratchKey(lab, "parts-taken");
  await store.put(key, [Buffer.from("first")], { signal });
  const refused = await isRefusedAsTaken(async () => {
    const upload = await store.startUpload(key, { ifAbsent: true, signal });
    try {
      await upload.writePart(0, [Buffer.from("second")], { signal });
      await upload.complete({ signal });
    } catch (error) {
      await upload.abort().catch(() => undefined);
      throw error;
    }
  });
  return refused
    ? undefined
    : unfit(topic, "an upload that must not replace anything has replaced an object", hint);
}

async function probeDropped(lab: ProbeLab): Promise<CheckFact | undefined> {
  const { store, signal } = lab;
  const key = scratchKey(lab, "parts-dropped");
  const upload = await store.startUpload(key, { signal });
  await upload.writePart(0, [freshBytes(1000)], { signal });
  const isListed = await isUnfinished(lab, key);
  await upload.abort({ signal });
  if ((await store.head(key, { signal })) !== undefined)
    return unfit(topic, "an upload that was dropped has made an object", hint);
  if (store.capabilities.forgetsAbandonedUploads === true) return undefined;
  if (isListed && !(await isUnfinished(lab, key))) return undefined;
  return {
    topic,
    verdict: "warn",
    text: isListed ? "a dropped upload stays among the unfinished ones" : "unfinished uploads are not listed",
    consequence: "Tidemark cannot clean up after a backup that was killed; its parts stay, and are paid for",
    hint: "Give the bucket a lifecycle rule that ends unfinished uploads after some days.",
  };
}

async function isUnfinished({ store, prefix, signal }: ProbeLab, key: string): Promise<boolean> {
  const uploads = await Array.fromAsync(store.abandonedUploads(`${prefix}/`, { signal }));
  return uploads.some((upload) => upload.key === key);
}
