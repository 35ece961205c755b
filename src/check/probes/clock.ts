import { formatDuration } from "../../common/units.ts";
import { unfit } from "../check-fact.ts";
import { scratchKey, type Probe } from "../lab.ts";

const topic = "clock";
/** S3 refuses requests whose time is further away. */
const limitMs = 15 * 60_000;
/** Times of stored objects have whole seconds, and an answer takes its time. */
const noticeableMs = 60_000;

/** How far the store's clock and ours are apart: by the time it gives to an object that is written now. */
export const probeClock: Probe = async (lab) => {
  const { store, clock, signal } = lab;
  const before = clock.now().getTime();
  const { modifiedAt } = await store.put(scratchKey(lab, "time"), [Buffer.from("now")], { signal });
  const after = clock.now().getTime();
  const at = modifiedAt.getTime();
  const skewMs = at < before ? at - before : Math.max(0, at - after);
  const apart = formatDuration(Math.abs(skewMs));
  const text = `the store's clock is ${apart} ${skewMs < 0 ? "behind" : "ahead of"} this machine's`;
  const hint = "Synchronise this machine's clock (NTP); if it is right, the store's is wrong.";
  if (Math.abs(skewMs) > limitMs)
    return [unfit(topic, `${text}: signed requests are refused beyond 15 min`, hint)];
  if (Math.abs(skewMs) > noticeableMs) return [{ topic, verdict: "warn", text, hint }];
  return [{ topic, verdict: "ok", text: "the store's clock and this machine's agree" }];
};
