import { unfit } from "../check-fact.ts";
import { contentOf, freshBytes, scratchKey, type Probe } from "../lab.ts";

const topic = "range";

/** Whether a part of an object can be read: a body that was cut off goes on where it stopped. */
export const probeRange: Probe = async (lab) => {
  const bytes = freshBytes(10_000);
  const key = scratchKey(lab, "ranged");
  await lab.store.put(key, [bytes], { signal: lab.signal });
  for (const [startByte, endByte] of [
    [0, 1],
    [4321, 5432],
    [9999, undefined],
  ] as const) {
    const range = { startByte, ...(endByte === undefined ? {} : { endByte }) };
    const read = await contentOf(lab, key, bytes.length, range);
    if (read?.equals(bytes.subarray(startByte, endByte)) === true) continue;
    return [
      unfit(
        topic,
        `bytes ${startByte} to ${endByte ?? "the end"} of an object are read as others`,
        "Use another store, or a newer version of its server.",
      ),
    ];
  }
  return [
    { topic, verdict: "ok", text: "parts of objects can be read: what is cut off goes on where it stopped" },
  ];
};
