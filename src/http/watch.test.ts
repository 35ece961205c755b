import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cluster, secret, secretValue } from "../control/admission/testing/manifests.ts";
import { settle, ManualClock } from "../control/loop/testing/manual-clock.ts";
import type { ResourceStore } from "../control/resources/resource-store.ts";
import { draftOf, type Resource } from "../control/resources/resource.ts";
import { lineStream } from "./line-stream.ts";
import { applyTexts, linesOf, testApi } from "./testing/test-api.ts";

const configMaps = "/api/v1/namespaces/prod/configmaps";
const keyOf = (name: string) => ({ kind: "ConfigMap", namespace: "prod", name });

function put(store: ResourceStore, name: string, value: string, labels: Record<string, string> = {}): void {
  const draft = { ...keyOf(name), apiVersion: "v1", content: { data: { value } }, labels };
  if (store.get(keyOf(name)) === undefined) store.create(draft);
  else store.update(draft);
}

function valueOf(resource: Resource | undefined): string {
  return (resource?.content["data"] as { value: string } | undefined)?.value ?? "";
}

/** A line in brief: what happened, to whom, and what it says now. */
function brief(line: Record<string, unknown>): string {
  const object = line["object"] as { metadata: { name?: string }; data?: { value: string } };
  return `${String(line["type"])} ${object.metadata.name ?? ""} ${object.data?.value ?? ""}`.trim();
}

async function take(lines: AsyncGenerator<Record<string, unknown>>, count: number) {
  const taken: Record<string, unknown>[] = [];
  while (taken.length < count) {
    const { value, done } = await lines.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

describe("watching objects", () => {
  test("begins with what is there and goes on with every change", async () => {
    const { app, store } = await testApi();
    put(store, "a", "1");
    const lines = linesOf(await app.request(`${configMaps}?watch=true&allowWatchBookmarks=true`));

    expect((await take(lines, 2)).map(brief)).toEqual(["ADDED a 1", "BOOKMARK"]);
    put(store, "b", "1");
    put(store, "a", "2");
    put(store, "a", "2");
    store.delete(keyOf("b"));

    expect((await take(lines, 3)).map(brief)).toEqual(["ADDED b 1", "MODIFIED a 2", "DELETED b 1"]);
    await lines.return(undefined);
  });

  test("shows only the namespace, the kind and the objects that were asked for, coming and going", async () => {
    const { app, store } = await testApi();
    const lines = linesOf(await app.request(`${configMaps}?watch=true&labelSelector=app=web`));
    const next = take(lines, 3);
    await settle();

    applyTexts(store, secret);
    store.create({
      ...keyOf("elsewhere"),
      namespace: "test",
      apiVersion: "v1",
      content: {},
      labels: { app: "web" },
    });
    put(store, "a", "1");
    put(store, "a", "2", { app: "web" });
    put(store, "a", "3", { app: "web" });
    put(store, "a", "4", { app: "db" });
    put(store, "a", "5", { app: "db" });

    expect((await next).map(brief)).toEqual(["ADDED a 2", "MODIFIED a 3", "DELETED a 4"]);
    await lines.return(undefined);
  });

  test("never shows a Secret's values, unless asked to", async () => {
    const { app, store } = await testApi();
    applyTexts(store, secret);
    const [hidden] = await take(linesOf(await app.request("/api/v1/secrets?watch=1")), 1);
    const [shown] = await take(linesOf(await app.request("/api/v1/secrets?watch=1&reveal=1")), 1);
    const encoded = Buffer.from(secretValue).toString("base64");

    expect(JSON.stringify(hidden)).not.toContain(encoded);
    expect(JSON.stringify(shown)).toContain(encoded);
  });

  test("sees every change exactly once, whenever watchers come and go among the writes", async () => {
    const steps = fc.array(
      fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({ op: fc.constant("put" as const), name: fc.constantFrom("a", "b", "c") }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ op: fc.constant("delete" as const), name: fc.constantFrom("a", "b", "c") }),
        },
        { weight: 2, arbitrary: fc.record({ op: fc.constant("watch" as const), name: fc.constant("") }) },
        { weight: 1, arbitrary: fc.record({ op: fc.constant("rest" as const), name: fc.constant("") }) },
      ),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { app, store } = await testApi();
        const watchers: {
          readonly expected: string[];
          readonly lines: AsyncGenerator<Record<string, unknown>>;
        }[] = [];
        for (const [index, { op, name }] of sequence.entries()) {
          const value = String(index);
          if (op === "watch") {
            const expected = store
              .list({ kind: "ConfigMap" })
              .map((resource) => `ADDED ${resource.metadata.name} ${valueOf(resource)}`);
            watchers.push({ expected, lines: linesOf(await app.request(`${configMaps}?watch=true`)) });
          } else if (op === "rest") {
            await settle();
          } else {
            const before = store.get(keyOf(name));
            if (op === "put") put(store, name, value);
            else store.delete(keyOf(name));
            if (op === "delete" && before === undefined) continue;
            const type = op === "delete" ? "DELETED" : before === undefined ? "ADDED" : "MODIFIED";
            const said = op === "delete" ? valueOf(before) : value;
            for (const { expected } of watchers) expected.push(`${type} ${name} ${said}`);
          }
        }
        put(store, "end", "");
        for (const { expected, lines } of watchers) {
          const seen = await take(lines, expected.length + 1);
          expect(seen.map(brief)).toEqual([...expected, "ADDED end"]);
          await lines.return(undefined);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("watching events", () => {
  test("shows what is there, what comes, and what happens again", async () => {
    const clock = new ManualClock();
    const { app, store } = await testApi({ clock });
    applyTexts(store, cluster);
    const about = store.require({ kind: "Cluster", namespace: "prod", name: "pg" });
    const record = (reason: string) => store.recordEvent({ about, type: "Normal", reason, message: "so" });
    record("One");
    const lines = linesOf(await app.request("/tidemark/v1/events?watch=true&namespace=prod"));
    const seen = async (count: number) =>
      (await take(lines, count)).map(({ type, object }) => {
        const { reason, count: times } = object as { reason: string; count: number };
        return `${String(type)} ${reason} ${times}`;
      });

    expect(await seen(1)).toEqual(["ADDED One 1"]);
    record("Two");
    record("One");
    await clock.advance(500);
    expect((await seen(2)).toSorted()).toEqual(["ADDED Two 1", "MODIFIED One 2"]);

    await lines.return(undefined);
    await clock.advance(1000);
    expect(clock.sleepers).toBe(0);
  });
});

describe("a client that does not read", () => {
  test("is told so at last, costs no more than what may wait, and holds nothing", async () => {
    let stopped = 0;
    let push: (item: number) => void = () => undefined;
    const stream = lineStream<number>({
      open(pushed) {
        push = pushed;
        return { first: [0, 1], stop: () => stopped++ };
      },
      render: (item) => item,
      overflow: (waiting) => `${waiting} waited`,
      maxWaiting: 3,
    });

    for (let item = 2; item < 10; item++) push(item);

    expect(stopped).toBe(1);
    expect(await new Response(stream).text()).toBe('"3 waited"\n');
  });

  test("ends what was begun for it when it leaves, also while it waits for a line", async () => {
    let stopped = 0;
    const stream = lineStream<number>({
      open: () => ({ first: [1], stop: () => stopped++ }),
      render: (item) => item,
      overflow: () => "never",
    });
    const reader = stream.getReader();
    await reader.read();
    const waiting = reader.read();

    await reader.cancel();

    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(stopped).toBe(1);
  });

  test("gets everything in order when it is only slow", async () => {
    let push: (item: number) => void = () => undefined;
    const stream = lineStream<number>({
      open(pushed) {
        push = pushed;
        return { first: Array.from({ length: 20_000 }, (_item, index) => index), stop: () => undefined };
      },
      render: (item) => item,
      overflow: () => "never",
    });
    const lines = linesOf(new Response(stream)) as AsyncGenerator<unknown>;
    const seen: unknown[] = [];
    for (let index = 0; index < 9000; index++) push(20_000 + index);

    for await (const line of lines) {
      seen.push(line);
      if (seen.length === 29_000) break;
    }

    expect(seen).toEqual(Array.from({ length: 29_000 }, (_item, index) => index));
  });
});

test("an update of an object that was read is one change", async () => {
  const { app, store } = await testApi();
  put(store, "a", "1");
  const lines = linesOf(await app.request(`${configMaps}?watch=true`));
  const next = take(lines, 2);
  await settle();

  store.update({ ...draftOf(store.require(keyOf("a"))), content: { data: { value: "2" } } });

  expect((await next).map(brief)).toEqual(["ADDED a 1", "MODIFIED a 2"]);
  await lines.return(undefined);
});
