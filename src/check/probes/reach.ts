import { formatDuration } from "../../common/units.ts";
import { contentOf, scratchKey, type Probe } from "../lab.ts";

/**
 * Whether the store answers, the bucket is there, and the credentials may look. By reading, since the answer to HEAD has no
 * words: a wrong key and a wrong secret would look the same.
 */
export const probeReach: Probe = async (lab) => {
  const { store, clock } = lab;
  const began = clock.monotonicMs();
  await contentOf(lab, scratchKey(lab, "nothing"), 0);
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
