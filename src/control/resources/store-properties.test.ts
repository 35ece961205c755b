import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isEngineError } from "../../common/errors.ts";
import type { ResourceChange, ResourceStore, WriteCondition } from "./resource-store.ts";
import { draftOf, keyId, keyOf, type OwnerReference, type Resource, type ResourceDraft } from "./resource.ts";
import { ModelStore, type ModelCondition } from "./testing/model-store.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

const names = {
  apiVersion: fc.constantFrom("example.dev/v1", "example.dev/v2"),
  kind: fc.constantFrom("Cluster", "Backup", "Secret"),
  namespace: fc.constantFrom("a", "b"),
  name: fc.constantFrom("x", "y", "z"),
};
const content = fc.constantFrom<Record<string, unknown>>(
  {},
  { spec: 1 },
  { spec: { list: [1, { deep: null }] } },
);

const call = fc.record({
  op: fc.constantFrom(
    "create",
    "create",
    "create",
    "update",
    "update",
    "status",
    "delete",
    "delete",
    "reopen",
  ),
  ...names,
  content,
  labels: fc.constantFrom<Record<string, string>>({}, { l: "1" }),
  annotations: fc.constantFrom<Record<string, string>>({}, { a: "1" }),
  finalizers: fc.constantFrom<string[]>([], [], [], ["f"], ["f", "g"]),
  /** Numbers of objects in the order they were ever made. */
  owners: fc.array(fc.nat(12), { maxLength: 2 }),
  condition: fc.constantFrom("none", "none", "none", "uid", "wrong uid", "version", "old version"),
});
type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never;

function conditionOf({ condition }: Call, current: Resource | undefined): WriteCondition {
  switch (condition) {
    case "uid":
      return { ifUid: current?.metadata.uid ?? "none" };
    case "wrong uid":
      return { ifUid: "another" };
    case "version":
      return { ifVersion: current?.metadata.resourceVersion ?? "0" };
    case "old version":
      return { ifVersion: "0" };
    case "none":
      return {};
  }
}

/** What a call gives, or the code of what it throws. */
function outcomeOf(work: () => Resource | string | undefined): string {
  try {
    const result = work();
    return typeof result === "object" ? "ok" : (result ?? "absent");
  } catch (error) {
    if (isEngineError(error)) return error.code;
    throw error;
  }
}

function perform(store: ResourceStore, made: Call, draft: ResourceDraft, condition: WriteCondition): string {
  const { op } = made;
  if (op === "create") return outcomeOf(() => store.create(draft));
  if (op === "update") return outcomeOf(() => store.update(draft, condition));
  if (op === "status") return outcomeOf(() => store.setStatus(draft, made.content, condition));
  return outcomeOf(() => store.delete(draft, condition));
}

function performOnModel(
  model: ModelStore,
  made: Call,
  draft: Required<ResourceDraft>,
  { condition, newUid }: { readonly condition: ModelCondition; readonly newUid: string },
): string {
  const { op } = made;
  if (op === "create") return model.create(draft, newUid);
  if (op === "update") return model.update(draft, condition);
  if (op === "status") return model.setStatus(draft, made.content, condition);
  return model.delete(draft, condition);
}

/** Which owners one that is being deleted had is of no consequence any more. */
const withoutOwnersIf = (isMarked: boolean, draft: ResourceDraft) =>
  isMarked ? { ...draft, ownerReferences: [] } : draft;

function stateOf(store: ResourceStore) {
  return store.list().map((resource) => {
    const { uid, generation, deletionTimestamp } = resource.metadata;
    const isMarked = deletionTimestamp !== undefined;
    const draft = withoutOwnersIf(isMarked, draftOf(resource));
    return { uid, generation, isMarked, draft, status: resource.status };
  });
}

function stateOfModel(model: ModelStore) {
  return [...model.objects.values()]
    .map((object) => ({ ...object, draft: withoutOwnersIf(object.isMarked, object.draft) }))
    .sort((a, b) => (sortKey(a.draft) < sortKey(b.draft) ? -1 : 1));
}

const sortKey = ({ namespace, name, kind }: ResourceDraft) => [namespace, name, kind].join(" ");

/** Takes up changes as a client that watches does, and notes what was wrong with one. */
class Replica {
  readonly wrong: ResourceChange[] = [];
  readonly #objects = new Map<string, Resource>();
  #version = 0;

  get version(): string {
    return String(this.#version);
  }

  get objects(): readonly Resource[] {
    return [...this.#objects.values()].sort((a, b) => (sortKey(draftOf(a)) < sortKey(draftOf(b)) ? -1 : 1));
  }

  follow(store: ResourceStore): void {
    store.subscribe((change) => {
      if (!this.#isRight(change)) this.wrong.push(change);
      const id = keyId(keyOf(change.resource));
      if (change.type === "deleted") this.#objects.delete(id);
      else this.#objects.set(id, change.resource);
    });
  }

  /** Versions come one after the other; only what is there is changed or deleted; a change changes something. */
  #isRight({ type, resource }: ResourceChange): boolean {
    this.#version++;
    if (resource.metadata.resourceVersion !== this.version) return false;
    const before = this.#objects.get(keyId(keyOf(resource)));
    if (before === undefined || type === "added") return before === undefined && type === "added";
    const { resourceVersion } = before.metadata;
    return (
      type === "deleted" ||
      !isDeepStrictEqual({ ...resource, metadata: { ...resource.metadata, resourceVersion } }, before)
    );
  }
}

/** One store and one model that are given the same calls. */
class Pair {
  readonly model = new ModelStore();
  readonly #everMade: OwnerReference[] = [];

  /** What the store answers, and what the model does. */
  give(store: ResourceStore, made: Call): readonly [string, string] {
    const { apiVersion, kind, namespace, name, labels, annotations, finalizers } = made;
    const ownerReferences = made.owners.flatMap((number) => this.#everMade[number] ?? []);
    const said = { content: made.content, labels, annotations, finalizers, ownerReferences };
    const draft = { apiVersion, kind, namespace, name, ...said };
    const current = store.get(draft)?.metadata;
    const condition = conditionOf(made, store.get(draft));
    const { ifUid, ifVersion } = condition;
    const held = {
      isUidHeld: ifUid === undefined || ifUid === current?.uid,
      isVersionHeld: ifVersion === undefined || ifVersion === current?.resourceVersion,
    };

    const outcome = perform(store, made, draft, condition);

    const uid = store.get(draft)?.metadata.uid ?? "";
    if (made.op === "create" && outcome === "ok") this.#everMade.push({ apiVersion, kind, name, uid });
    return [outcome, performOnModel(this.model, made, draft, { condition: held, newUid: uid })];
  }
}

test("whatever is asked of it, a store does what the model does, tells of it, and knows it when it is opened again", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 60 }), async (calls) => {
      const resources = await temporaryResources();
      let store = await resources.open();
      const pair = new Pair();
      const replica = new Replica();
      replica.follow(store);

      for (const made of calls) {
        if (made.op === "reopen") {
          store[Symbol.dispose]();
          store = await resources.open();
          replica.follow(store);
        }
        const [answer, expected] = made.op === "reopen" ? ["", ""] : pair.give(store, made);
        expect(answer).toBe(expected);
        expect(stateOf(store)).toEqual(stateOfModel(pair.model));
        expect(replica.wrong).toEqual([]);
        expect(replica.version).toBe(store.version);
        expect(replica.objects).toEqual(store.list());
      }
      store[Symbol.dispose]();
    }),
    { numRuns: 150 },
  );
});
