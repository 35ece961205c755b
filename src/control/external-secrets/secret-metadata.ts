import { createHash } from "node:crypto";
import { ownerReferenceTo, type OwnerReference, type ResourceDraft } from "../resources/resource.ts";
import { managedAnnotation, nothingManaged, readManagedNote } from "./managed-fields.ts";
import { renderTemplate } from "./render-template.ts";
import { notesOfRivals, writtenKeys, type SecretFacts } from "./secret-facts.ts";

const managedLabel = "reconcile.external-secrets.io/managed";
const ownerLabel = "reconcile.external-secrets.io/created-by";

/**
 * Labels and annotations of a target Secret: what a template says, or without one what the ExternalSecret itself has; people's
 * own stay. Throws what rendering a template throws.
 */
export function secretMetadata(facts: SecretFacts): Required<Pick<ResourceDraft, "labels" | "annotations">> {
  const { external, spec, existing, values } = facts;
  const { creationPolicy = "Owner", template } = spec.target ?? {};
  const { name, namespace } = external.metadata;
  const before = readManagedNote(existing)[name] ?? nothingManaged;
  const render = (texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [
        key,
        Buffer.from(renderTemplate(key, text, values)).toString(),
      ]),
    );
  const own = {
    labels: template === undefined ? external.metadata.labels : render(template.metadata?.labels ?? {}),
    annotations:
      template === undefined
        ? withoutToolAnnotations(external.metadata.annotations)
        : render(template.metadata?.annotations ?? {}),
  };
  const without = (all: Readonly<Record<string, string>> | undefined, names: readonly string[]) =>
    Object.fromEntries(Object.entries(all ?? {}).filter(([key]) => !names.includes(key)));
  const labels = {
    ...without(existing?.metadata.labels, [...before.labels, ownerLabel]),
    ...own.labels,
    [managedLabel]: "true",
    ...(creationPolicy === "Owner" ? { [ownerLabel]: ownerHash(namespace, name) } : {}),
  };
  const annotations = {
    ...without(existing?.metadata.annotations, before.annotations),
    ...own.annotations,
  };
  const note = {
    ...notesOfRivals(facts),
    [name]: {
      data: [...writtenKeys(facts)].toSorted(),
      labels: Object.keys(own.labels),
      annotations: Object.keys(own.annotations),
    },
  };
  return { labels, annotations: { ...annotations, ...managedAnnotation(note) } };
}

/** What a tool noted about the ExternalSecret is not about the Secret. */
function withoutToolAnnotations(
  annotations: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).filter(
      ([name]) => !name.startsWith("tidemark.dev/") && !name.startsWith("kubectl.kubernetes.io/"),
    ),
  );
}

/** A label's value has at most 63 characters; that of the operator is a hash of the same text. */
function ownerHash(namespace: string, name: string): string {
  return createHash("sha3-224").update(`${namespace}/${name}`).digest("hex");
}

/** Whom the Secret goes with. Other owners stay. */
export function secretOwners({ external, spec, existing }: SecretFacts): readonly OwnerReference[] {
  const others = (existing?.metadata.ownerReferences ?? []).filter(
    ({ kind, name }) => kind !== external.kind || name !== external.metadata.name,
  );
  return (spec.target?.creationPolicy ?? "Owner") === "Owner"
    ? [...others, ownerReferenceTo(external)]
    : others;
}
