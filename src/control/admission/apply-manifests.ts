import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceDraft } from "../resources/resource.ts";
import { reportOf, toFinding } from "./admission-reports.ts";
import type { AdmissionFinding, AppliedObject, ApplyResult } from "./apply-result.ts";
import { changesOf, isSame } from "./changes.ts";
import { appliedDraft, writeRank } from "./draft.ts";
import { impliedNamespace, namespaceKey } from "./namespaces.ts";
import { reviewManifests, type Candidate, type Review, type ReviewOptions } from "./review.ts";

export interface ApplyOptions extends ReviewOptions {
  readonly store: ResourceStore;
  /** Only says what would happen. */
  readonly dryRun?: boolean | undefined;
}

/**
 * Brings the store to what manifests say. Everything is looked at before anything is written, and all is written in one
 * transaction: one error, and nothing is. The result does not depend on the order of the manifests, nor on whether they come at once or one at a time, and applying them
 * again changes nothing.
 *
 * @throws EngineError `usage` for a rule that cannot be left out, and what the store throws. Mistakes in the manifests are
 * findings of the result.
 */
export function applyManifests(options: ApplyOptions): ApplyResult {
  const { store, dryRun = false } = options;
  const review = reviewManifests(options);
  if (review.hasErrors) {
    return { outcome: "refused", objects: review.candidates.map(refusal), findings: [...review.findings] };
  }
  const plans = review.candidates.map(planOf);
  const namespaces = missingNamespaces(review, store);
  if (!dryRun) {
    const drafts = [
      ...namespaces.map(({ name }) => impliedNamespace(name)),
      ...plans.flatMap(({ draft }) => draft ?? []),
    ];
    store.putAll(drafts.toSorted((a, b) => writeRank(a.kind) - writeRank(b.kind)));
  }
  return {
    outcome: dryRun ? "dry-run" : "applied",
    objects: [...namespaces.map(({ name }) => madeNamespace(name)), ...plans.map(({ object }) => object)],
    findings: [...review.findings, ...namespaces.flatMap(({ finding }) => finding ?? [])],
  };
}

interface Plan {
  readonly object: AppliedObject;
  /** Undefined where nothing is to be written. */
  readonly draft: ResourceDraft | undefined;
}

function planOf(candidate: Candidate): Plan {
  const { stored, ignored } = candidate;
  if (ignored !== undefined) return { object: outcomeOf(candidate, "ignored", ignored), draft: undefined };
  const draft = appliedDraft(candidate);
  if (stored === undefined) return { object: outcomeOf(candidate, "created"), draft };
  if (isSame(stored, draft)) return { object: outcomeOf(candidate, "unchanged"), draft: undefined };
  return { object: { ...outcomeOf(candidate, "configured"), changes: changesOf(stored, draft) }, draft };
}

function outcomeOf(
  { object: { apiVersion }, key }: Candidate,
  outcome: AppliedObject["outcome"],
  reason?: string,
): AppliedObject {
  return { apiVersion, ...key, outcome, ...(reason === undefined ? {} : { reason }), changes: [] };
}

function refusal(candidate: Candidate): AppliedObject {
  if (candidate.ignored !== undefined) return outcomeOf(candidate, "ignored", candidate.ignored);
  const reason = candidate.hasErrors ? "it has errors" : "others have errors, and all are applied or none";
  return outcomeOf(candidate, "refused", reason);
}

interface MissingNamespace {
  readonly name: string;
  /** Undefined for the one that is always there on Kubernetes. */
  readonly finding: AdmissionFinding | undefined;
}

/** Namespaces that the manifests put objects into, and that neither they nor anybody before has made. */
function missingNamespaces({ candidates }: Review, store: ResourceStore): readonly MissingNamespace[] {
  const made = new Set(candidates.flatMap(({ key }) => (key.kind === "Namespace" ? [key.name] : [])));
  const missing = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const { namespace } = candidate.key;
    if (candidate.ignored !== undefined || namespace === "" || made.has(namespace)) continue;
    if (missing.has(namespace) || store.get(namespaceKey(namespace)) !== undefined) continue;
    missing.set(namespace, candidate);
  }
  return [...missing].map(([name, { object }]) => ({
    name,
    finding: name === "default" ? undefined : toFinding(madeFinding(object, name)),
  }));
}

function madeFinding(object: Candidate["object"], name: string): ReturnType<typeof reportOf> {
  return reportOf(object, {
    rule: "namespace-made",
    severity: "info",
    path: ["metadata", "namespace"],
    message: `namespace "${name}" does not exist: it is made`,
  });
}

function madeNamespace(name: string): AppliedObject {
  return { apiVersion: "v1", kind: "Namespace", namespace: "", name, outcome: "created", changes: [] };
}
