import { isDeepStrictEqual } from "node:util";
import { EngineError } from "../../common/errors.ts";
import { markedForDeletion, planRemoval } from "./cascade.ts";
import { frozenJson } from "./frozen-json.ts";
import type { ResourceIndex } from "./resource-index.ts";
import type { ResourceChange } from "./resource-store.ts";
import { formatKey, keyOf, type OwnerReference, type Resource, type ResourceDraft } from "./resource.ts";
import { toTimestamp } from "./timestamp.ts";

/**
 * What a call changes, decided without changing anything: an empty list when nothing differs. Versions are still to be
 * given (`numbered`).
 */

export interface PlanFacts {
  readonly objects: ResourceIndex;
  readonly now: Date;
}

/** Throws `resource-exists`, and `resource-conflict` when all owners are gone. */
export function planCreate(draft: ResourceDraft, uid: string, { objects, now }: PlanFacts): ResourceChange[] {
  const existing = objects.get(draft);
  if (existing !== undefined) throw existsAlready(existing);
  const { apiVersion, kind, namespace, name } = draft;
  const { content, ownerReferences, ...said } = wordsOf(draft);
  const metadata = {
    name,
    namespace,
    uid,
    resourceVersion: "",
    generation: 1,
    creationTimestamp: toTimestamp(now),
    ...said,
    ownerReferences: livingOwners(draft, ownerReferences, objects),
  };
  return [{ type: "added", resource: { apiVersion, kind, metadata, content, status: undefined } }];
}

/** Throws `resource-conflict` when all owners are gone, or a finalizer is added to what is being deleted. */
export function planUpdate(
  current: Resource,
  draft: ResourceDraft,
  { objects, now }: PlanFacts,
): ResourceChange[] {
  const { content, ...said } = wordsOf(draft);
  const { metadata } = current;
  const isMarked = metadata.deletionTimestamp !== undefined;
  // What is being deleted may outlive its owners while its finalizers keep it.
  const ownerReferences = isMarked
    ? said.ownerReferences
    : livingOwners(draft, said.ownerReferences, objects);
  const isSame = isDeepStrictEqual(content, current.content);
  const resource: Resource = {
    ...current,
    apiVersion: draft.apiVersion,
    metadata: { ...metadata, ...said, ownerReferences, generation: metadata.generation + (isSame ? 0 : 1) },
    content,
  };
  if (isDeepStrictEqual(resource, current)) return [];
  if (isMarked) {
    const added = said.finalizers.filter((finalizer) => !metadata.finalizers.includes(finalizer));
    if (added.length > 0) throw isBeingDeleted(current, added);
    if (said.finalizers.length === 0) return planRemoval(resource, objects.all(), now);
  }
  return [{ type: "modified", resource }];
}

export function planStatus(current: Resource, status: Readonly<Record<string, unknown>>): ResourceChange[] {
  const next = frozenJson(status);
  return isDeepStrictEqual(next, current.status)
    ? []
    : [{ type: "modified", resource: { ...current, status: next } }];
}

export function planDelete(current: Resource, { objects, now }: PlanFacts): ResourceChange[] {
  const { finalizers, deletionTimestamp } = current.metadata;
  if (finalizers.length === 0) return planRemoval(current, objects.all(), now);
  return deletionTimestamp === undefined
    ? [{ type: "modified", resource: markedForDeletion(current, now) }]
    : [];
}

/** What a draft says, nothing left out, nothing shared with whoever gave it. */
function wordsOf({ content, labels, annotations, ownerReferences, finalizers }: ResourceDraft) {
  return frozenJson({
    content,
    labels: labels ?? {},
    annotations: annotations ?? {},
    ownerReferences: ownerReferences ?? [],
    finalizers: finalizers ?? [],
  });
}

function livingOwners(
  draft: ResourceDraft,
  owners: readonly OwnerReference[],
  objects: ResourceIndex,
): readonly OwnerReference[] {
  const living = owners.filter(({ uid }) => objects.hasUid(uid));
  if (living.length > 0 || owners.length === 0) return living;
  const names = owners.map(({ kind, name }) => `"${kind} ${name}"`).join(", ");
  throw new EngineError(
    "resource-conflict",
    `"${formatKey(draft)}" is to belong to ${names}, which is gone`,
    {
      hint: "The owner was deleted, and made again perhaps: name the uid that it has now, or leave ownerReferences out.",
    },
  );
}

function existsAlready(existing: Resource): EngineError {
  const { deletionTimestamp, finalizers } = existing.metadata;
  const name = formatKey(keyOf(existing));
  return deletionTimestamp === undefined
    ? new EngineError("resource-exists", `"${name}" exists already`, {
        hint: "Change it with tidemark apply, or delete it first.",
      })
    : new EngineError("resource-exists", `"${name}" exists still: it is being deleted`, {
        hint: `Try again when it is gone. It is kept by its finalizers: ${finalizers.join(", ")}.`,
        retryable: true,
      });
}

function isBeingDeleted(current: Resource, added: readonly string[]): EngineError {
  const names = added.map((finalizer) => `"${finalizer}"`).join(", ");
  return new EngineError(
    "resource-conflict",
    `"${formatKey(keyOf(current))}" is being deleted: it cannot get the finalizer ${names} any more`,
    { hint: "Read it again, and leave its deletion be." },
  );
}
