import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "./clock.ts";
import { WakeUp } from "./wake-up.ts";

describe("a loop that sleeps", () => {
  test("is woken by news, also by news that came before it slept, and once for each sleep", async () => {
    const news = new WakeUp(systemClock);
    let turns = 0;
    news.notify();
    news.notify();
    await news.wait(Number.POSITIVE_INFINITY);

    const asleep = news.wait(Number.POSITIVE_INFINITY).then(() => turns++);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(turns).toBe(0);
    news.notify();
    await asleep;

    expect(turns).toBe(1);
  });

  test("wakes when its time is over, and leaves no timer behind when it is woken before", async () => {
    const slept: { readonly ms: number; readonly wasEnded: () => boolean }[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: async (ms, signal) => {
        slept.push({ ms, wasEnded: () => signal?.aborted === true });
        return systemClock.sleep(ms, signal);
      },
    };
    const news = new WakeUp(clock);

    await news.wait(5);
    const asleep = news.wait(3_600_000);
    news.notify();
    await asleep;
    await news.wait(0);

    expect(slept.map(({ ms }) => ms)).toEqual([5, 3_600_000]);
    expect(slept[1]?.wasEnded()).toBe(true);
  });
});
