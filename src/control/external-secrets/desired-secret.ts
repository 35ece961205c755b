import type { ResourceDraft } from "../resources/resource.ts";
import { isSameContent, secretContent } from "./secret-content.ts";
import { notesOfRivals, writtenKeys, type SecretFacts } from "./secret-facts.ts";
import { secretMetadata, secretOwners } from "./secret-metadata.ts";

/** What a target Secret is to be. Pure; the policies are those of External Secrets Operator 2.9. */

export type DesiredSecret =
  | { readonly kind: "draft"; readonly draft: ResourceDraft }
  | { readonly kind: "refused"; readonly message: string; readonly detail: string; readonly retry: Retry };

/** When another try can come to something else: when the Secret or the ExternalSecret has changed, or at any time. */
export type Retry = "on-change" | "later";

/** Throws what rendering a template throws. */
export function desiredSecret(facts: SecretFacts): DesiredSecret {
  const { external, spec, secretName, existing } = facts;
  const foreign = existing?.metadata.ownerReferences.find(
    ({ kind, name }) => kind === external.kind && name !== external.metadata.name,
  );
  if (foreign !== undefined) {
    return {
      kind: "refused",
      message: "target is owned by another ExternalSecret",
      detail: `secret is owned by another ExternalSecret: ${foreign.name}`,
      retry: "on-change",
    };
  }
  const contested = contestedKey(facts);
  if (contested !== undefined) {
    return {
      kind: "refused",
      message: "could not update secret",
      detail: `key "${contested.key}" of secret ${secretName} is written by ExternalSecret "${contested.rival}" already`,
      retry: "later",
    };
  }
  // What is to be immutable is written once: a later value would be refused anyway.
  const isKept = existing !== undefined && spec.target?.immutable === true;
  const content = isKept ? { ...existing.content, immutable: true } : secretContent(facts);
  if (!isKept && existing?.content["immutable"] === true && !isSameContent(content, existing.content)) {
    return {
      kind: "refused",
      message: "could not update secret, target is immutable",
      detail: `unable to update secret ${secretName}: secret is immutable`,
      retry: "on-change",
    };
  }
  const { labels, annotations } = secretMetadata(facts);
  return {
    kind: "draft",
    draft: {
      apiVersion: "v1",
      kind: "Secret",
      namespace: external.metadata.namespace,
      name: secretName,
      content,
      labels,
      annotations,
      ownerReferences: secretOwners(facts),
      finalizers: existing?.metadata.finalizers ?? [],
    },
  };
}

/** Of two that write one key, each would undo what the other does, for ever. */
function contestedKey(facts: SecretFacts): { readonly key: string; readonly rival: string } | undefined {
  const written = writtenKeys(facts);
  for (const [rival, { data }] of Object.entries(notesOfRivals(facts))) {
    const key = data.find((name) => written.has(name));
    if (key !== undefined) return { key, rival };
  }
  return undefined;
}
