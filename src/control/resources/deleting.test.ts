import { describe, expect, it } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { draftOf, keyOf, type Resource } from "./resource.ts";
import { draft, key, ownedBy } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";
import { toldBy } from "./testing/told.ts";

const labels = { team: "a" };

const namesOf = (resources: readonly Resource[]) => resources.map(({ metadata }) => metadata.name);

describe("deleting", () => {
  it("takes what only the object owned, at all depths, behind it", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const cluster = store.create(draft("Cluster", "pg"));
    const schedule = store.create(draft("ScheduledBackup", "nightly", ownedBy(cluster)));
    store.create(draft("Backup", "nightly-1", ownedBy(schedule)));
    store.create(draft("Backup", "shared", ownedBy(schedule, cluster)));
    store.create(draft("Backup", "by-hand"));
    const told = toldBy(store);

    expect(store.delete(keyOf(cluster))).toBe("deleted");

    expect(namesOf(store.list())).toEqual(["by-hand"]);
    expect(told.slice(0, 2)).toEqual([
      "deleted Cluster production/pg",
      "deleted ScheduledBackup production/nightly",
    ]);
    expect(told.slice(2).sort()).toEqual([
      "deleted Backup production/nightly-1",
      "deleted Backup production/shared",
    ]);
    expect(store.version).toBe("9");
    expect(store.delete(keyOf(cluster))).toBe("absent");
  });

  it("leaves what has another owner, without the reference to the one that went", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const [a, b] = [store.create(draft("Cluster", "a")), store.create(draft("Cluster", "b"))];
    const shared = store.create(draft("Backup", "shared", ownedBy(a, b)));
    const told = toldBy(store);

    store.delete(keyOf(a));

    expect(store.require(keyOf(shared)).metadata.ownerReferences).toEqual(ownedBy(b).ownerReferences);
    expect(told).toEqual(["deleted Cluster production/a", "modified Backup production/shared"]);
    store.delete(keyOf(b));
    expect(store.list()).toEqual([]);
  });

  it("knows owners by their uid, whatever they are called", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const owner = store.create(draft("Cluster", "pg"));
    const namesake = store.create(draft("Cluster", "pg", { namespace: "test" }));
    const renamed = ownedBy(owner).ownerReferences!.map((reference) => ({ ...reference, name: "other" }));
    store.create(draft("Backup", "b", { ownerReferences: renamed }));

    store.delete(keyOf(namesake));
    expect(namesOf(store.list({ kind: "Backup" }))).toEqual(["b"]);
    store.delete(keyOf(owner));
    expect(store.list()).toEqual([]);
  });

  it("ends with owners in a circle, and with one that owns itself", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const a = store.create(draft("Cluster", "a"));
    const b = store.create(draft("Cluster", "b", ownedBy(a)));
    store.update(draft("Cluster", "a", ownedBy(b, a)));

    expect(store.delete(keyOf(a))).toBe("deleted");

    expect(store.list()).toEqual([]);
  });

  it("only marks what has finalizers; it goes with the last of them, and takes what it owns", async () => {
    const { open } = await temporaryResources();
    const store = await open(new ManualClock("2026-11-21T20:45:00.000Z"));
    const finalizers = ["example.dev/a", "example.dev/b"];
    const cluster = store.create(draft("Cluster", "pg", { finalizers }));
    const owned = store.create(draft("Backup", "b", ownedBy(cluster)));
    const told = toldBy(store);

    expect(store.delete(keyOf(cluster))).toBe("marked");
    const marked = store.require(keyOf(cluster));
    expect(marked.metadata).toEqual({
      ...cluster.metadata,
      resourceVersion: "3",
      deletionTimestamp: "2026-11-21T20:45:00Z",
    });
    expect(store.delete(keyOf(cluster))).toBe("marked");
    expect(store.version).toBe("3");
    store.update({ ...draftOf(marked), finalizers: ["example.dev/b"] });
    expect(store.get(keyOf(owned))).toBeDefined();
    const last = store.update({ ...draftOf(marked), finalizers: [] });

    expect(last.metadata).toMatchObject({ uid: cluster.metadata.uid, finalizers: [], resourceVersion: "5" });
    expect(store.list()).toEqual([]);
    expect(told).toEqual([
      "modified Cluster production/pg",
      "modified Cluster production/pg",
      "deleted Cluster production/pg",
      "deleted Backup production/b",
    ]);
  });

  it("marks what the object owns and has finalizers; that may outlive its owner, and takes its own with it", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const cluster = store.create(draft("Cluster", "pg"));
    const finalizers = ["example.dev/keep"];
    const backup = store.create(draft("Backup", "b", { finalizers, ...ownedBy(cluster) }));
    store.create(draft("Event", "e", ownedBy(backup)));

    store.delete(keyOf(cluster));
    expect(namesOf(store.list())).toEqual(["b", "e"]);
    const marked = store.require(keyOf(backup));
    expect(marked.metadata.deletionTimestamp).toBeDefined();
    expect(marked.metadata.ownerReferences).toEqual(ownedBy(cluster).ownerReferences);
    // What is changed besides does not need the owner.
    store.update({ ...draftOf(marked), labels });
    store.update({ ...draftOf(marked), finalizers: [] });

    expect(store.list()).toEqual([]);
  });

  it("leaves alone what is being deleted already", async () => {
    const { open } = await temporaryResources();
    const clock = new ManualClock();
    const store = await open(clock);
    const [a, b] = [store.create(draft("Cluster", "a")), store.create(draft("Cluster", "b"))];
    const backup = store.create(draft("Backup", "b", { finalizers: ["keep"], ...ownedBy(a, b) }));
    store.delete(keyOf(backup));
    const marked = store.get(keyOf(backup));
    await clock.advance(60_000);

    store.delete(keyOf(a));
    store.delete(keyOf(b));

    expect(store.list()).toEqual([marked]);
    expect(store.version).toBe("6");
  });

  it("cannot be held up by a new finalizer once it was asked for", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const cluster = store.create(draft("Cluster", "pg", { finalizers: ["a"] }));
    store.delete(keyOf(cluster));

    expect(() => store.update({ ...draftOf(cluster), finalizers: ["a", "b"] })).toThrow(
      expect.objectContaining({
        code: "resource-conflict",
        message: '"Cluster production/pg" is being deleted: it cannot get the finalizer "b" any more',
      }),
    );
  });

  it("is refused when the object is not the one that was read", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const { metadata } = store.create(draft("Cluster", "pg"));
    store.update(draft("Cluster", "pg", { labels }));

    const conflict = expect.objectContaining({ code: "resource-conflict" });
    expect(() => store.delete(key("Cluster", "pg"), { ifVersion: metadata.resourceVersion })).toThrow(
      conflict,
    );
    expect(() => store.delete(key("Cluster", "pg"), { ifUid: "another" })).toThrow(conflict);
    expect(store.delete(key("Cluster", "pg"), { ifVersion: "2", ifUid: metadata.uid })).toBe("deleted");
    expect(store.delete(key("Cluster", "pg"), { ifUid: metadata.uid })).toBe("absent");
  });
});

describe("an owner that is gone", () => {
  it("gets nothing any more: a draft that names no other one is refused", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const [gone, other] = [store.create(draft("Cluster", "gone")), store.create(draft("Cluster", "other"))];
    store.delete(keyOf(gone));
    store.create(draft("Backup", "free"));

    const refusal = {
      code: "resource-conflict",
      hint: "The owner was deleted, and made again perhaps: name the uid that it has now, or leave ownerReferences out.",
    };
    expect(() => store.create(draft("Backup", "late", ownedBy(gone)))).toThrow(
      expect.objectContaining({
        ...refusal,
        message: '"Backup production/late" is to belong to "Cluster gone", which is gone',
      }),
    );
    expect(() => store.update(draft("Backup", "free", ownedBy(gone)))).toThrow(
      expect.objectContaining(refusal),
    );
    expect(store.get(key("Backup", "late"))).toBeUndefined();
    const created = store.create(draft("Backup", "shared", ownedBy(gone, other)));
    expect(created.metadata.ownerReferences).toEqual(ownedBy(other).ownerReferences);
  });
});
