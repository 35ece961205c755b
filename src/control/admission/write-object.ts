import { EngineError } from "../../common/errors.ts";
import { isRecord, valueAt } from "../../manifest/manifest-object.ts";
import type { ResourceStore, WriteCondition } from "../resources/resource-store.ts";
import { formatKey, type Resource, type ResourceDraft } from "../resources/resource.ts";
import { givenBy, lastAppliedAnnotation } from "./applied-names.ts";
import type { AdmissionFinding } from "./apply-result.ts";
import { heldBy } from "./draft.ts";
import { impliedNamespace, namespaceKey } from "./namespaces.ts";
import { reviewManifests, type Candidate } from "./review.ts";

/** One object as a client sends it, for the place that it sends it to. */
export interface WriteRequest {
  readonly store: ResourceStore;
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly kind: string;
  /** Empty for a Namespace. */
  readonly namespace: string;
  readonly now?: Date | undefined;
}

export interface Written {
  readonly resource: Resource;
  /** Warnings, and what is worth knowing. */
  readonly findings: readonly AdmissionFinding[];
}

/**
 * Makes one object, and its namespace when there is none.
 *
 * @throws EngineError `usage` for another object than the place is for, `manifest` with the findings as details,
 * `resource-exists`.
 */
export function createObject(request: WriteRequest): Written {
  const { store, kind, namespace, manifest } = request;
  const name = valueAt(manifest, ["metadata", "name"]);
  if (typeof name === "string" && store.get({ kind, namespace, name }) !== undefined) {
    throw new EngineError("resource-exists", `"${formatKey({ kind, namespace, name })}" exists already`, {
      hint: "Replace it with PUT, or use tidemark apply.",
    });
  }
  const { candidate, findings } = reviewOne(request);
  const hasNamespace = namespace === "" || store.get(namespaceKey(namespace)) !== undefined;
  const draft = { ...draftAsGiven(candidate), ...heldBy(kind, undefined) };
  store.putAll([...(hasNamespace ? [] : [impliedNamespace(namespace)]), draft]);
  return { resource: store.require(candidate.key), findings };
}

/**
 * Replaces what is said of one object: content, labels, annotations, and finalizers where they are given. With
 * `metadata.resourceVersion` or `uid` only if it is still that one.
 *
 * @throws EngineError `usage`, `manifest`, `resource-missing`, `resource-conflict`.
 */
export function replaceObject(request: WriteRequest & { readonly name: string }): Written {
  const { store, kind, namespace, name, manifest } = request;
  const stored = store.require({ kind, namespace, name });
  const { candidate, findings } = reviewOne(request, { allowEnding: true });
  if (candidate.key.name !== name) {
    throw new EngineError(
      "usage",
      `the object is called "${candidate.key.name}", but the address says "${name}"`,
    );
  }
  const { annotations } = stored.metadata;
  const note = annotations[lastAppliedAnnotation];
  const draft = draftAsGiven(candidate);
  const finalizers = valueAt(manifest, ["metadata", "finalizers"]);
  const resource = store.update(
    {
      ...draft,
      annotations: { ...draft.annotations, ...(note === undefined ? {} : { [lastAppliedAnnotation]: note }) },
      ...heldBy(kind, stored),
      ...(Array.isArray(finalizers)
        ? { finalizers: finalizers.filter((item: unknown) => typeof item === "string") }
        : {}),
    },
    conditionOf(manifest),
  );
  return { resource, findings };
}

function reviewOne(
  { store, manifest, kind, namespace, now }: WriteRequest,
  { allowEnding }: { readonly allowEnding: boolean } = { allowEnding: false },
): { readonly candidate: Candidate; readonly findings: readonly AdmissionFinding[] } {
  const { candidates, findings, hasErrors } = reviewManifests({
    store,
    texts: [{ path: "(request)", text: JSON.stringify(manifest) }],
    defaultNamespace: namespace,
    requireNamespace: namespace !== "",
    allowEnding,
    now,
  });
  const [candidate] = candidates;
  if (candidate !== undefined && (candidates.length > 1 || candidate.key.kind !== kind)) {
    throw new EngineError("usage", `the object is a ${candidate.key.kind}, but the address is for a ${kind}`);
  }
  if (candidate !== undefined && !hasErrors) return { candidate, findings };
  const errors = findings.filter(({ severity }) => severity === "error");
  const [first] = errors;
  const said = errors.map(({ message }) => message).join("; ");
  throw new EngineError("manifest", first === undefined ? `there is no ${kind} in the request` : said, {
    ...(first === undefined || first.hint === null ? {} : { hint: first.hint }),
    details: { findings: errors },
  });
}

function draftAsGiven({ key, object, content }: Candidate): ResourceDraft {
  return { apiVersion: object.apiVersion, ...key, content, ...givenBy(object.value) };
}

function conditionOf(manifest: Readonly<Record<string, unknown>>): WriteCondition {
  const metadata = isRecord(manifest["metadata"]) ? manifest["metadata"] : {};
  const { resourceVersion, uid } = metadata;
  return {
    ...(typeof resourceVersion === "string" ? { ifVersion: resourceVersion } : {}),
    ...(typeof uid === "string" ? { ifUid: uid } : {}),
  };
}
