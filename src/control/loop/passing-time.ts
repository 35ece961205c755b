import type { Clock } from "../../common/clock.ts";

/** What two readings of the clocks may differ by without anything having happened: rounding, and small corrections. */
const toleranceMs = 1000;

/**
 * A clock that never goes back, in milliseconds, and goes on while the machine sleeps: the monotonic clock alone stands still
 * then (clock_gettime(2), CLOCK_MONOTONIC), and a laptop that is opened in the morning would do at noon what was due at
 * night. So a leap of the wall clock counts as time that has passed; at worst something is looked at too early.
 */
export function passingTime(clock: Clock): () => number {
  let wallMs = clock.now().getTime();
  let monotonicMs = clock.monotonicMs();
  let passedMs = 0;
  return () => {
    const wallStepMs = clock.now().getTime() - wallMs;
    const stepMs = clock.monotonicMs() - monotonicMs;
    wallMs += wallStepMs;
    monotonicMs += stepMs;
    passedMs += wallStepMs - stepMs > toleranceMs ? wallStepMs : stepMs;
    return passedMs;
  };
}
