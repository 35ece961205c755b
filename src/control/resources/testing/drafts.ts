import { ownerReferenceTo, type Resource, type ResourceDraft, type ResourceKey } from "../resource.ts";

/** A draft of a small object: `draft("Cluster", "pg")`, in the namespace `production` unless `more` says otherwise. */
export function draft(kind: string, name: string, more: Partial<ResourceDraft> = {}): ResourceDraft {
  return { apiVersion: "example.dev/v1", kind, namespace: "production", name, content: {}, ...more };
}

export function key(kind: string, name: string, namespace = "production"): ResourceKey {
  return { kind, namespace, name };
}

/** The part of a draft that gives it owners. */
export function ownedBy(...owners: readonly Resource[]): Pick<ResourceDraft, "ownerReferences"> {
  return { ownerReferences: owners.map((owner) => ownerReferenceTo(owner)) };
}
