import { isDeepStrictEqual } from "node:util";
import type { OwnerReference, ResourceDraft, ResourceKey } from "../resource.ts";

/** An object as the model knows it: without what only clocks and counters say. */
export interface ModelObject {
  readonly uid: string;
  readonly generation: number;
  readonly isMarked: boolean;
  readonly draft: Required<ResourceDraft>;
  readonly status: Readonly<Record<string, unknown>> | undefined;
}

/** Whether what a call makes a condition is true. */
export interface ModelCondition {
  readonly isUidHeld: boolean;
  readonly isVersionHeld: boolean;
}

export type ModelOutcome =
  | "ok"
  | "deleted"
  | "marked"
  | "absent"
  | "resource-exists"
  | "resource-missing"
  | "resource-conflict";

/**
 * What a store must do, told in another way: Kubernetes' garbage collector goes round after each call, until it finds
 * nothing any more.
 */
export class ModelStore {
  readonly objects = new Map<string, ModelObject>();

  get(key: ResourceKey): ModelObject | undefined {
    return this.objects.get(modelKey(key));
  }

  create(draft: Required<ResourceDraft>, uid: string): ModelOutcome {
    if (this.get(draft) !== undefined) return "resource-exists";
    const living = this.#living(draft.ownerReferences);
    if (living === "none") return "resource-conflict";
    this.#set({
      uid,
      generation: 1,
      isMarked: false,
      draft: { ...draft, ownerReferences: living },
      status: undefined,
    });
    return "ok";
  }

  update(draft: Required<ResourceDraft>, condition: ModelCondition): ModelOutcome {
    const current = this.get(draft);
    if (current === undefined) return "resource-missing";
    if (!holds(condition)) return "resource-conflict";
    const living = current.isMarked ? draft.ownerReferences : this.#living(draft.ownerReferences);
    if (living === "none") return "resource-conflict";
    if (current.isMarked && draft.finalizers.some((name) => !current.draft.finalizers.includes(name))) {
      return "resource-conflict";
    }
    const isSame = isDeepStrictEqual(draft.content, current.draft.content);
    this.#set({
      ...current,
      draft: { ...draft, ownerReferences: living },
      generation: current.generation + (isSame ? 0 : 1),
    });
    this.#collect();
    return "ok";
  }

  setStatus(
    key: ResourceKey,
    status: Readonly<Record<string, unknown>>,
    condition: ModelCondition,
  ): ModelOutcome {
    const current = this.get(key);
    if (current === undefined || !condition.isUidHeld) return "absent";
    if (!holds(condition)) return "resource-conflict";
    this.#set({ ...current, status });
    return "ok";
  }

  delete(key: ResourceKey, condition: ModelCondition): ModelOutcome {
    const current = this.get(key);
    if (current === undefined) return "absent";
    if (!holds(condition)) return "resource-conflict";
    this.#set({ ...current, isMarked: true });
    this.#collect();
    return this.get(key) === undefined ? "deleted" : "marked";
  }

  #collect(): void {
    for (let isChanging = true; isChanging;) {
      isChanging = false;
      for (const [id, object] of this.objects) {
        const next = this.#collected(object);
        if (next === object) continue;
        isChanging = true;
        if (next === undefined) this.objects.delete(id);
        else this.objects.set(id, next);
      }
    }
  }

  /** What becomes of an object at one look. */
  #collected(object: ModelObject): ModelObject | undefined {
    const { draft, isMarked } = object;
    if (isMarked) return draft.finalizers.length === 0 ? undefined : object;
    const living = this.#living(draft.ownerReferences);
    if (living === "none") return { ...object, isMarked: true };
    if (living.length === draft.ownerReferences.length) return object;
    return { ...object, draft: { ...draft, ownerReferences: living } };
  }

  #living(owners: readonly OwnerReference[]): readonly OwnerReference[] | "none" {
    const uids = new Set([...this.objects.values()].map(({ uid }) => uid));
    const living = owners.filter(({ uid }) => uids.has(uid));
    return owners.length > 0 && living.length === 0 ? "none" : living;
  }

  #set(object: ModelObject): void {
    this.objects.set(modelKey(object.draft), object);
  }
}

function holds({ isUidHeld, isVersionHeld }: ModelCondition): boolean {
  return isUidHeld && isVersionHeld;
}

function modelKey({ kind, namespace, name }: ResourceKey): string {
  return [kind, namespace, name].join(" ");
}
