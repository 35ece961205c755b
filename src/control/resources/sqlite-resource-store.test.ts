import { describe, expect, it } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import type { ResourceChange, ResourceStore } from "./resource-store.ts";
import { draftOf, formatKey, keyOf, type Resource } from "./resource.ts";
import { draft, key, ownedBy } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

const labels = { team: "a" };

/** What the store tells from now on, as `type Kind namespace/name`. */
function tellsOf(store: ResourceStore): string[] {
  const told: string[] = [];
  store.subscribe(({ type, resource }) => told.push(`${type} ${formatKey(keyOf(resource))}`));
  return told;
}

const namesOf = (resources: readonly Resource[]) => resources.map(({ metadata }) => metadata.name);

describe("an object that is created", () => {
  it("has what the draft says, and what only the store can say", async () => {
    const { open } = await temporaryResources();
    const store = await open(new ManualClock("2026-11-21T20:45:07.999Z"));

    const created = store.create(
      draft("Cluster", "pg", {
        content: { spec: { instances: 3 } },
        labels,
        finalizers: ["example.dev/keep"],
      }),
    );

    expect(created).toEqual({
      apiVersion: "example.dev/v1",
      kind: "Cluster",
      metadata: {
        name: "pg",
        namespace: "production",
        uid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        resourceVersion: "1",
        generation: 1,
        creationTimestamp: "2026-11-21T20:45:07Z",
        labels,
        annotations: {},
        ownerReferences: [],
        finalizers: ["example.dev/keep"],
      },
      content: { spec: { instances: 3 } },
      status: undefined,
    });
    expect(store.get(key("Cluster", "pg"))).toEqual(created);
    expect(store.version).toBe("1");
  });

  it("is refused when there is one of its name, also one that is being deleted", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    store.create(draft("Cluster", "pg", { finalizers: ["example.dev/keep"] }));

    expect(() => store.create(draft("Cluster", "pg"))).toThrow(
      expect.objectContaining({
        code: "resource-exists",
        message: '"Cluster production/pg" exists already',
        hint: "Change it with tidemark apply, or delete it first.",
        retryable: false,
      }),
    );
    store.delete(key("Cluster", "pg"));
    expect(() => store.create(draft("Cluster", "pg"))).toThrow(
      expect.objectContaining({
        code: "resource-exists",
        message: '"Cluster production/pg" exists still: it is being deleted',
        hint: "Try again when it is gone. It is kept by its finalizers: example.dev/keep.",
        retryable: true,
      }),
    );
    expect(store.create(draft("Backup", "pg")).metadata.resourceVersion).toBe("3");
    expect(store.create(draft("Cluster", "pg", { namespace: "test" })).metadata.resourceVersion).toBe("4");
  });

  it("is another one than that of the same name before, and never older than what was there", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const first = store.create(draft("Cluster", "pg"));
    store.delete(keyOf(first));

    const second = store.create(draft("Cluster", "pg"));

    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    expect(second.metadata.resourceVersion).toBe("3");
    expect(() => store.update(draft("Cluster", "pg", { labels }), { ifUid: first.metadata.uid })).toThrow(
      expect.objectContaining({
        code: "resource-conflict",
        hint: "Read it again: it is another object now.",
      }),
    );
  });

  it("keeps names apart whatever they hold", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const names = [
      ["a", "b/c"],
      ["a/b", "c"],
      ['a","b', "c"],
      ["", "a"],
      ["__proto__", "constructor"],
    ] as const;

    for (const [namespace, name] of names) store.create(draft("Cluster", name, { namespace }));

    for (const [namespace, name] of names) {
      expect(store.require(key("Cluster", name, namespace)).metadata).toMatchObject({ namespace, name });
    }
  });
});

describe("reading", () => {
  it("says that there is nothing", async () => {
    const { open } = await temporaryResources();
    const store = await open();

    expect(store.get(key("Cluster", "pg"))).toBeUndefined();
    expect(store.list()).toEqual([]);
    expect(store.version).toBe("0");
    expect(() => store.require(key("Namespace", "test", ""))).toThrow(
      expect.objectContaining({
        code: "resource-missing",
        message: 'there is no "Namespace test"',
        hint: "Are its name and its namespace right?",
      }),
    );
  });

  it("lists by namespace and name, and what all parts of a filter let through", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const owner = store.create(draft("Cluster", "b"));
    store.create(draft("Cluster", "a", { labels: { team: "a", tier: "1" } }));
    store.create(draft("Backup", "c", { labels, ...ownedBy(owner) }));
    store.create(draft("Backup", "z", { namespace: "demo", labels: { constructor: "x" } }));
    store.create(draft("Backup", "B"));

    expect(namesOf(store.list())).toEqual(["z", "B", "a", "b", "c"]);
    expect(namesOf(store.list({ kind: "Cluster" }))).toEqual(["a", "b"]);
    expect(namesOf(store.list({ namespace: "demo" }))).toEqual(["z"]);
    expect(namesOf(store.list({ labels }))).toEqual(["a", "c"]);
    expect(namesOf(store.list({ labels: { team: "a", tier: "1" } }))).toEqual(["a"]);
    expect(namesOf(store.list({ labels: {} }))).toHaveLength(5);
    expect(namesOf(store.list({ kind: "Backup", labels, ownerUid: owner.metadata.uid }))).toEqual(["c"]);
    expect(store.list({ kind: "Cluster", ownerUid: owner.metadata.uid })).toEqual([]);
  });

  it("gives values that nobody can change for others, and shares nothing with drafts", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const content = { spec: { list: [{ a: 1 }], at: new Date(0), nothing: undefined } };
    const status = { conditions: [{ type: "Ready" }] };
    store.create(draft("Cluster", "pg", { content }));
    const changed = store.setStatus(key("Cluster", "pg"), status, {});
    content.spec.list.push({ a: 2 });
    status.conditions.length = 0;

    const read = store.require(key("Cluster", "pg"));

    expect(read.content).toEqual({ spec: { list: [{ a: 1 }], at: "1970-01-01T00:00:00.000Z" } });
    expect(read.status).toEqual({ conditions: [{ type: "Ready" }] });
    expect(changed).toBe(read);
    const { list } = (read.content as { spec: { list: { a: number }[] } }).spec;
    expect(() => list.push({ a: 3 })).toThrow(TypeError);
    expect(() => Object.assign(list[0]!, { a: 4 })).toThrow(TypeError);
    expect(() => Object.assign(read.metadata.labels, { b: "c" })).toThrow(TypeError);
    expect(() => Object.assign(read.metadata, { uid: "" })).toThrow(TypeError);
  });
});

describe("an update", () => {
  it("raises the version with every change, and the generation with those of the content alone", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const created = store.create(draft("Cluster", "pg", { content: { spec: { instances: 1 } } }));
    const steps = [
      { content: { spec: { instances: 2 } } },
      { content: { spec: { instances: 2 } }, labels },
      { content: { spec: { instances: 2 } }, labels, annotations: { note: "x" } },
      { content: {} },
    ];

    const seen = steps.map((step) => {
      const { generation, resourceVersion } = store.update(draft("Cluster", "pg", step)).metadata;
      return [generation, resourceVersion];
    });

    expect(seen).toEqual([
      [2, "2"],
      [2, "3"],
      [2, "4"],
      [3, "5"],
    ]);
    expect(store.require(keyOf(created)).metadata).toMatchObject({
      uid: created.metadata.uid,
      labels: {},
      annotations: {},
    });
  });

  it("that changes nothing does nothing, in whichever order fields stand", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const created = store.create(
      draft("Cluster", "pg", { content: { spec: { a: 1, b: [1, 2] } }, labels: { x: "1", y: "2" } }),
    );
    store.setStatus(keyOf(created), { phase: "ready" }, {});
    const before = store.require(keyOf(created));
    const told = tellsOf(store);

    expect(store.update(draftOf(before))).toBe(before);
    const shuffled = { content: { spec: { b: [1, 2], a: 1 } }, labels: { y: "2", x: "1" } };
    expect(store.update(draft("Cluster", "pg", shuffled))).toBe(before);
    expect(store.setStatus(keyOf(created), { phase: "ready", more: undefined }, {})).toBe(before);
    expect(store.version).toBe("2");
    expect(told).toEqual([]);
  });

  it("leaves the status alone, as the status leaves all else", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const created = store.create(draft("Cluster", "pg", { content: { spec: 1 }, labels }));

    const withStatus = store.setStatus(keyOf(created), { phase: "ready" }, { ifUid: created.metadata.uid });
    const updated = store.update({ ...draftOf(created), content: { spec: 2 } });

    expect(withStatus).toEqual({
      ...created,
      metadata: { ...created.metadata, resourceVersion: "2" },
      status: { phase: "ready" },
    });
    expect(updated.status).toEqual({ phase: "ready" });
    expect(updated.metadata).toMatchObject({ generation: 2, labels });
  });

  it("is refused when the object is gone, or not the one that was read any more", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const { resourceVersion, uid } = store.create(draft("Cluster", "pg")).metadata;
    store.update(draft("Cluster", "pg", { labels }), { ifVersion: resourceVersion, ifUid: uid });

    expect(() => store.update(draft("Cluster", "other"))).toThrow(
      expect.objectContaining({ code: "resource-missing" }),
    );
    expect(() => store.update(draft("Cluster", "pg"), { ifVersion: resourceVersion })).toThrow(
      expect.objectContaining({
        code: "resource-conflict",
        message: '"Cluster production/pg" has been changed: its version is 2, not 1',
        hint: "Read it again, and make the change on what it is now.",
      }),
    );
    // Also what would change nothing: whoever asks wants to know.
    const same = draft("Cluster", "pg", { labels });
    expect(() => store.update(same, { ifVersion: resourceVersion })).toThrow(/has been changed/);
    expect(() => store.update(same, { ifUid: "another" })).toThrow(/deleted and made again/);
    expect(store.version).toBe("2");
  });

  it("of the status comes too late without a word when the object is gone or another", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const first = store.create(draft("Cluster", "pg"));
    const ifUid = first.metadata.uid;
    store.delete(keyOf(first));
    expect(store.setStatus(keyOf(first), { phase: "late" }, { ifUid })).toBeUndefined();

    const second = store.create(draft("Cluster", "pg"));

    expect(store.setStatus(keyOf(first), { phase: "late" }, { ifUid })).toBeUndefined();
    expect(() => store.setStatus(keyOf(second), { phase: "late" }, { ifVersion: "1" })).toThrow(
      expect.objectContaining({ code: "resource-conflict" }),
    );
    expect(store.get(keyOf(second))).toBe(second);
  });

  it("that cannot be kept changes nothing", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const before = store.create(draft("Cluster", "pg"));
    const told = tellsOf(store);

    expect(() => store.update(draft("Cluster", "pg", { content: { size: 1n } }))).toThrow(TypeError);

    expect(store.get(keyOf(before))).toBe(before);
    expect(store.update(draft("Cluster", "pg", { labels })).metadata.resourceVersion).toBe("2");
    expect(told).toEqual(["modified Cluster production/pg"]);
  });
});

describe("deleting", () => {
  it("takes what only the object owned, at all depths, behind it", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    const cluster = store.create(draft("Cluster", "pg"));
    const schedule = store.create(draft("ScheduledBackup", "nightly", ownedBy(cluster)));
    store.create(draft("Backup", "nightly-1", ownedBy(schedule)));
    store.create(draft("Backup", "shared", ownedBy(schedule, cluster)));
    store.create(draft("Backup", "by-hand"));
    const told = tellsOf(store);

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
    const told = tellsOf(store);

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
    const told = tellsOf(store);

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
    const told = tellsOf(store);

    store.create(draft("Cluster", "pg"));

    expect(told).toEqual(["added Cluster production/pg"]);
    expect(lines.splice(0)).toEqual(["error: a listener could not take a change: out of order"]);
  });
});

describe("a store that is opened again", () => {
  it("has everything, and goes on with the next version", async () => {
    const { open } = await temporaryResources();
    const before = await open();
    const cluster = before.create(draft("Cluster", "pg", { content: { spec: { a: [1, null] } }, labels }));
    before.setStatus(keyOf(cluster), { phase: "ready" }, {});
    before.create(draft("Backup", "b", { finalizers: ["keep"], ...ownedBy(cluster) }));
    before.create(draft("Secret", "s", { content: { data: { a: "YQ==" } } }));
    before.delete(key("Backup", "b"));
    before.delete(keyOf(before.create(draft("Cluster", "short"))));
    const all = before.list();
    before[Symbol.dispose]();

    const after = await open();

    expect(after.list()).toStrictEqual(all);
    expect(after.version).toBe(before.version);
    expect(after.create(draft("Cluster", "next")).metadata.resourceVersion).toBe("8");
    after.delete(keyOf(cluster));
    expect(after.require(key("Backup", "b")).metadata.finalizers).toEqual(["keep"]);
  });

  it("cannot be written to once it was disposed of", async () => {
    const { open } = await temporaryResources();
    const store = await open();
    store[Symbol.dispose]();
    store[Symbol.dispose]();

    expect(() => store.create(draft("Cluster", "pg"))).toThrow(expect.objectContaining({ code: "internal" }));
    expect(store.list()).toEqual([]);
  });
});
