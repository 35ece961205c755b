import type { ManifestObject } from "../../manifest/manifest-object.ts";
import type { Resource, ResourceDraft, ResourceKey } from "../resources/resource.ts";
import { givenBy, mergeApplied } from "./applied-names.ts";
import { namespaceFinalizer } from "./namespaces.ts";

/** What an application of a manifest makes of an object. */
export interface DraftSource {
  readonly key: ResourceKey;
  readonly object: ManifestObject;
  readonly content: Readonly<Record<string, unknown>>;
  readonly stored: Resource | undefined;
}

/**
 * Owners and finalizers are the control plane's: an object keeps those that it has, whatever the manifest says of them,
 * because people apply what they got from somewhere else.
 */
export function appliedDraft({ key, object, content, stored }: DraftSource): ResourceDraft {
  return {
    apiVersion: object.apiVersion,
    ...key,
    content,
    ...mergeApplied(stored?.metadata, givenBy(object.value)),
    ...heldBy(key.kind, stored),
  };
}

/** The owners and finalizers that an object has, or begins with. */
export function heldBy(
  kind: string,
  stored: Resource | undefined,
): Pick<ResourceDraft, "ownerReferences" | "finalizers"> {
  if (stored !== undefined) {
    const { ownerReferences, finalizers } = stored.metadata;
    return { ownerReferences, finalizers };
  }
  return kind === "Namespace" ? { finalizers: [namespaceFinalizer] } : {};
}

/** What others refer to is written first, so that nobody is told of an object whose Secret comes a moment later. */
export function writeRank(kind: string): number {
  const order = ["Namespace", "Secret", "ConfigMap", "ExternalSecret", "ObjectStore", "Cluster", "Server"];
  const rank = order.indexOf(kind);
  return rank === -1 ? order.length : rank;
}
