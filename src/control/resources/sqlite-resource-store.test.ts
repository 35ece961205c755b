import { describe, expect, it } from "vitest";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { draftOf, keyOf, type Resource } from "./resource.ts";
import { draft, key, ownedBy } from "./testing/drafts.ts";
import { toldBy } from "./testing/told.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

const labels = { team: "a" };

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
    const told = toldBy(store);

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
    const told = toldBy(store);

    expect(() => store.update(draft("Cluster", "pg", { content: { size: 1n } }))).toThrow(TypeError);

    expect(store.get(keyOf(before))).toBe(before);
    expect(store.update(draft("Cluster", "pg", { labels })).metadata.resourceVersion).toBe("2");
    expect(told).toEqual(["modified Cluster production/pg"]);
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
