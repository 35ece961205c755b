import { formatDuration } from "../../common/units.ts";
import { scratchKey, type Probe } from "../lab.ts";

/** Whether the store answers, the bucket is there, and the credentials may look. */
export const probeReach: Probe = async (lab) => {
  const { store, clock, signal } = lab;
  const began = clock.monotonicMs();
  await store.head(scratchKey(lab, "nothing"), { signal });
  const tookMs = clock.monotonicMs() - began;
  const who = store.capabilities.maker === undefined ? "" : ` (${store.capabilities.maker})`;
  return [
    {
      topic: "reach",
      verdict: "ok",
      text: `${store.url}${who} answers and lets us in, after ${formatDuration(tookMs)}`,
    },
  ];
};
