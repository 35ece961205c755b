import { expect, test } from "vitest";
import { draft, key, ownedBy } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

test("several objects are made and replaced at once, told of one by one, in order", async () => {
  const { open } = await temporaryResources();
  const store = await open();
  store.create(draft("Cluster", "pg", { content: { spec: 1 } }));
  const same = store.create(draft("Secret", "same"));
  const told: string[] = [];
  store.subscribe(({ type, resource }) => {
    told.push(`${type} ${resource.metadata.name} ${resource.metadata.resourceVersion}`);
  });

  const written = store.putAll([
    draft("Secret", "s3"),
    draft("Secret", "same"),
    draft("Cluster", "pg", { content: { spec: 2 } }),
  ]);

  expect(written.map(({ metadata }) => metadata.name)).toEqual(["s3", "same", "pg"]);
  expect(written[1]).toEqual(same);
  expect(told).toEqual(["added s3 3", "modified pg 4"]);
  expect(store.version).toBe("4");
  expect((await reopened(store, open)).require(key("Cluster", "pg")).content).toEqual({ spec: 2 });
});

async function reopened(
  store: Disposable,
  open: Awaited<ReturnType<typeof temporaryResources>>["open"],
): ReturnType<typeof open> {
  store[Symbol.dispose]();
  return open();
}

test("one that cannot be written, and none of them is", async () => {
  const store = await (await temporaryResources()).open();
  const owner = store.create(draft("Cluster", "gone"));
  store.delete(key("Cluster", "gone"));
  store.create(draft("Secret", "ending", { finalizers: ["example.dev/wait"] }));
  store.delete(key("Secret", "ending"));
  const { version } = store;

  expect(() => store.putAll([draft("Secret", "a"), draft("Backup", "b", ownedBy(owner))])).toThrow(
    "which is gone",
  );
  expect(() => store.putAll([draft("Secret", "a"), draft("Secret", "ending")])).toThrow("is being deleted");
  expect(() => store.putAll([draft("Secret", "a"), draft("Secret", "a")])).toThrow(
    "is written twice at once",
  );

  expect(store.version).toBe(version);
  expect(store.get(key("Secret", "a"))).toBeUndefined();
  expect(store.putAll([])).toEqual([]);
});
