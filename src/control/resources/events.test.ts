import { expect, test } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import type { EventDraft } from "./resource-store.ts";
import { keyOf } from "./resource.ts";
import { draft, key } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const happened = { type: "Normal", reason: "Started", message: "it began" } as const;

test("an event says what happened to which object, and when", async () => {
  const { open } = await temporaryResources();
  const store = await open(new ManualClock("2026-11-21T20:45:00.123Z"));
  const about = store.create(draft("Cluster", "pg"));

  store.recordEvent({ about, ...happened });

  expect(store.events()).toEqual([
    {
      about: { ...keyOf(about), uid: about.metadata.uid },
      ...happened,
      count: 1,
      firstTime: "2026-11-21T20:45:00.123Z",
      lastTime: "2026-11-21T20:45:00.123Z",
    },
  ]);
  expect(store.version).toBe("1");
});

test("the same within an hour counts up, anything else is another event, oldest first", async () => {
  const { open } = await temporaryResources();
  const clock = new ManualClock("2026-11-21T20:00:00.000Z");
  const store = await open(clock);
  const [a, b] = [store.create(draft("Cluster", "a")), store.create(draft("Cluster", "b"))];
  const events: EventDraft[] = [
    { about: a, ...happened },
    { about: b, ...happened },
    { about: a, ...happened, type: "Warning" },
    { about: a, ...happened, reason: "Stopped" },
    { about: a, ...happened, message: "it began again" },
  ];

  for (const event of events) {
    store.recordEvent(event);
    await clock.advance(minuteMs);
  }
  await clock.advance(50 * minuteMs);
  store.recordEvent(events[0]!);

  const seen = store.events();
  expect(
    seen.map(({ about, type, reason, message, count }) => [about.name, type, reason, message, count]),
  ).toEqual([
    ["b", "Normal", "Started", "it began", 1],
    ["a", "Warning", "Started", "it began", 1],
    ["a", "Normal", "Stopped", "it began", 1],
    ["a", "Normal", "Started", "it began again", 1],
    ["a", "Normal", "Started", "it began", 2],
  ]);
  expect(seen.at(-1)).toMatchObject({
    firstTime: "2026-11-21T20:00:00.000Z",
    lastTime: "2026-11-21T20:55:00.000Z",
  });
  await clock.advance(60 * minuteMs);
  store.recordEvent(events[0]!);
  expect(store.events().slice(-2)).toMatchObject([
    { count: 2 },
    { count: 1, firstTime: "2026-11-21T21:55:00.000Z" },
  ]);
});

test("events are found by namespace and by object, and outlive the object", async () => {
  const { open } = await temporaryResources();
  const store = await open();
  const cluster = store.create(draft("Cluster", "pg"));
  const other = store.create(draft("Cluster", "pg", { namespace: "test" }));
  const space = store.create(draft("Namespace", "test", { namespace: "" }));
  for (const about of [cluster, other, space]) store.recordEvent({ about, ...happened });
  store.recordEvent({ about: cluster, ...happened, reason: "Stopped" });
  store.delete(keyOf(cluster));
  const reasons = (filter: Parameters<typeof store.events>[0]) =>
    store.events(filter).map(({ about, reason }) => `${about.namespace}/${about.name} ${reason}`);

  expect(reasons({ namespace: "production" })).toEqual(["production/pg Started", "production/pg Stopped"]);
  expect(reasons({ about: key("Cluster", "pg", "test") })).toEqual(["test/pg Started"]);
  expect(reasons({ about: keyOf(space) })).toEqual(["/test Started"]);
  expect(reasons({ namespace: "test", about: keyOf(cluster) })).toEqual([]);
  expect(reasons({ about: keyOf(cluster), limit: 1 })).toEqual(["production/pg Stopped"]);
  expect(reasons({ limit: 0 })).toEqual([]);
});

test("the newest thousand of a namespace are kept", async () => {
  const { open } = await temporaryResources();
  const clock = new ManualClock();
  const store = await open(clock);
  const about = store.create(draft("Cluster", "pg"));
  const elsewhere = store.create(draft("Cluster", "pg", { namespace: "quiet" }));
  store.recordEvent({ about: elsewhere, ...happened });

  for (let number = 0; number < 1005; number++) {
    store.recordEvent({ about, ...happened, message: `number ${number}` });
  }
  store.recordEvent({ about, ...happened, message: "number 5" });

  const messages = store.events({ namespace: "production" }).map(({ message }) => message);
  expect(messages).toHaveLength(1000);
  expect([messages[0], messages.at(-1)]).toEqual(["number 5", "number 1004"]);
  expect(store.events({ namespace: "quiet" })).toHaveLength(1);
});

test("after a week an event is forgotten, in a quiet namespace as well, and stays so when the store is opened again", async () => {
  const { open } = await temporaryResources();
  const clock = new ManualClock();
  const store = await open(clock);
  const about = store.create(draft("Cluster", "pg"));
  store.recordEvent({ about, ...happened });

  await clock.advance(7 * dayMs - 1);
  expect(store.events()).toHaveLength(1);
  await clock.advance(1);
  expect(store.events()).toEqual([]);
  store.recordEvent({ about, ...happened, reason: "Later" });
  store[Symbol.dispose]();

  const reopened = await open(clock);
  clock.stepWall(-dayMs);
  expect(reopened.events().map(({ reason }) => reason)).toEqual(["Later"]);
});

test("a clock that was set back makes no event older than it was", async () => {
  const { open } = await temporaryResources();
  const clock = new ManualClock("2026-11-21T20:00:00.000Z");
  const store = await open(clock);
  const about = store.create(draft("Cluster", "pg"));
  store.recordEvent({ about, ...happened });

  clock.stepWall(-30 * minuteMs);
  store.recordEvent({ about, ...happened });

  expect(store.events()).toMatchObject([{ count: 2, lastTime: "2026-11-21T20:00:00.000Z" }]);
});
