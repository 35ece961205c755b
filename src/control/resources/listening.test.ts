import { describe, expect, it } from "vitest";
import type { ResourceChange } from "./resource-store.ts";
import { keyOf } from "./resource.ts";
import { draft, key } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";
import { toldBy } from "./testing/told.ts";

const labels = { team: "a" };

describe("whoever listens", () => {
  it("is told of each change when it is there to be read, in order, until it ends that", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const seen: [string, string | undefined][] = [];
    const end = store.subscribe(({ type, resource }) => {
      seen.push([type, store.get(keyOf(resource))?.metadata.resourceVersion]);
    });

    const { metadata } = store.create(draft("Cluster", "pg"));
    store.update(draft("Cluster", "pg", { labels }));
    store.setStatus(key("Cluster", "pg"), { phase: "x" }, { ifUid: metadata.uid });
    store.delete(key("Cluster", "pg"));
    end();
    store.create(draft("Cluster", "pg"));

    expect(seen).toEqual([
      ["added", "1"],
      ["modified", "2"],
      ["modified", "3"],
      ["deleted", undefined],
    ]);
  });

  it("gets a deleted object as it was, with the version of its deletion", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const created = store.create(draft("Cluster", "pg", { labels }));
    const changes: ResourceChange[] = [];
    store.subscribe((change) => changes.push(change));

    store.delete(keyOf(created));

    const metadata = { ...created.metadata, resourceVersion: "2" };
    expect(changes).toEqual([{ type: "deleted", resource: { ...created, metadata } }]);
  });

  it("may write: what comes of it is told to all behind what is being told", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const first: string[] = [];
    store.subscribe(({ type, resource }) => {
      first.push(resource.metadata.resourceVersion);
      if (type === "added") store.setStatus(keyOf(resource), { seen: true }, {});
      // From within a call, one gets what comes after it.
      if (type === "added") store.subscribe((change) => late.push(change.resource.metadata.resourceVersion));
    });
    const second: string[] = [];
    const late: string[] = [];
    store.subscribe(({ resource }) => second.push(resource.metadata.resourceVersion));

    store.create(draft("Cluster", "pg"));
    store.update(draft("Cluster", "pg", { labels }));

    expect(first).toEqual(["1", "2", "3"]);
    expect(second).toEqual(["1", "2", "3"]);
    expect(late).toEqual(["3"]);
  });

  it("hinders neither the writer nor the others by throwing", async () => {
    const { open, lines } = await temporaryResources();
    const store = await open();
    store.subscribe(() => {
      throw new Error("out of order");
    });
    const told = toldBy(store);

    store.create(draft("Cluster", "pg"));

    expect(told).toEqual(["added Cluster production/pg"]);
    expect(lines.splice(0)).toEqual(["error: a listener could not take a change: out of order"]);
  });
});
