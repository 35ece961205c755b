import { createHash } from "node:crypto";
import type { ExternalSecretSpec } from "../../manifest/kinds/external-secret.ts";
import {
  ownerReferenceTo,
  type OwnerReference,
  type Resource,
  type ResourceDraft,
} from "../resources/resource.ts";
import { managedAnnotation, nothingManaged, readManagedNote, type ManagedNote } from "./managed-fields.ts";
import { renderTemplate } from "./render-template.ts";
import type { SecretValues } from "./secret-keys.ts";

/** What a target Secret is to be. Pure; the policies are those of External Secrets Operator 2.9. */

export interface SecretFacts {
  readonly external: Resource;
  readonly spec: ExternalSecretSpec;
  readonly secretName: string;
  /** The Secret as it is. */
  readonly existing: Resource | undefined;
  readonly values: SecretValues;
  /** Names of the other ExternalSecrets with the same target. */
  readonly rivals: ReadonlySet<string>;
}

export type DesiredSecret =
  | { readonly kind: "draft"; readonly draft: ResourceDraft }
  | { readonly kind: "refused"; readonly message: string; readonly detail: string; readonly retry: Retry };

/** When another try can come to something else: when the Secret or the ExternalSecret has changed, or at any time. */
export type Retry = "on-change" | "later";

const managedLabel = "reconcile.external-secrets.io/managed";
const ownerLabel = "reconcile.external-secrets.io/created-by";

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
  const content = isKept
    ? { ...existing.content, immutable: true }
    : sortedContent(contentOf(facts), existing, spec.target?.immutable === true);
  if (!isKept && existing?.content["immutable"] === true && !sameContent(content, existing.content)) {
    return {
      kind: "refused",
      message: "could not update secret, target is immutable",
      detail: `unable to update secret ${secretName}: secret is immutable`,
      retry: "on-change",
    };
  }
  const { labels, annotations } = metadataOf(facts);
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
      ownerReferences: ownersOf(facts),
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

function notesOfRivals({ existing, rivals }: SecretFacts): ManagedNote {
  return Object.fromEntries(Object.entries(readManagedNote(existing)).filter(([name]) => rivals.has(name)));
}

/** Those of what was fetched, unless a template takes their place, and the template's. */
function writtenKeys({ spec, values }: SecretFacts): ReadonlySet<string> {
  const { data = {}, mergePolicy } = spec.target?.template ?? {};
  const names = Object.keys(data);
  return new Set(names.length === 0 || mergePolicy === "Merge" ? [...values.keys(), ...names] : names);
}

interface SecretContent {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

function contentOf(facts: SecretFacts): SecretContent {
  const { external, spec, existing, values } = facts;
  const { creationPolicy = "Owner", template } = spec.target ?? {};
  const isMerged = creationPolicy === "Merge" || creationPolicy === "CreateOrMerge";
  const own = (readManagedNote(existing)[external.metadata.name] ?? nothingManaged).data;
  const others = Object.values(notesOfRivals(facts)).flatMap(({ data }) => data);
  const kept = Object.fromEntries(
    Object.entries(dataOf(existing)).filter(([key]) =>
      isMerged ? !own.includes(key) : others.includes(key),
    ),
  );
  const written = [...writtenKeys(facts)].map((key) => {
    const text = template?.data?.[key];
    const value = text === undefined ? values.get(key) : renderTemplate(`data.${key}`, text, values);
    return [key, Buffer.from(value ?? []).toString("base64")];
  });
  const type = existing?.content["type"];
  return {
    type: template?.type ?? (typeof type === "string" ? type : "Opaque"),
    data: { ...kept, ...Object.fromEntries(written) },
  };
}

function dataOf(secret: Resource | undefined): Readonly<Record<string, string>> {
  const data = secret?.content["data"];
  return typeof data === "object" && data !== null ? (data as Readonly<Record<string, string>>) : {};
}

function sortedContent(
  { type, data }: SecretContent,
  existing: Resource | undefined,
  isImmutable: boolean,
): Readonly<Record<string, unknown>> {
  const sorted = Object.fromEntries(Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const immutable = isImmutable || existing?.content["immutable"] === true;
  return { type, data: sorted, ...(immutable ? { immutable } : {}) };
}

function sameContent(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const dataA = (a["data"] ?? {}) as Readonly<Record<string, string>>;
  const dataB = (b["data"] ?? {}) as Readonly<Record<string, string>>;
  const keys = new Set([...Object.keys(dataA), ...Object.keys(dataB)]);
  return a["type"] === b["type"] && [...keys].every((key) => dataA[key] === dataB[key]);
}

/** With a template, what it says; without one, what the ExternalSecret itself has. */
function metadataOf(facts: SecretFacts): Required<Pick<ResourceDraft, "labels" | "annotations">> {
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

function ownersOf({ external, spec, existing }: SecretFacts): readonly OwnerReference[] {
  const others = (existing?.metadata.ownerReferences ?? []).filter(
    ({ kind, name }) => kind !== external.kind || name !== external.metadata.name,
  );
  return (spec.target?.creationPolicy ?? "Owner") === "Owner"
    ? [...others, ownerReferenceTo(external)]
    : others;
}
