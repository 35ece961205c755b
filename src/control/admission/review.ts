import { EngineError } from "../../common/errors.ts";
import { findKind, isForeign, isLeftAlone } from "../../manifest/kinds/registry.ts";
import { allRules } from "../../manifest/lint/all-rules.ts";
import type { Rule } from "../../manifest/lint/rule.ts";
import { runRules, unreadable, type Report } from "../../manifest/lint/run-rules.ts";
import type { ManifestObject, ManifestText } from "../../manifest/manifest-object.ts";
import { parseManifests, type ParsedManifests } from "../../manifest/parse.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { keyId, type Resource, type ResourceKey } from "../resources/resource.ts";
import { inOrder, reportOf, toFinding } from "./admission-reports.ts";
import type { AdmissionFinding } from "./apply-result.ts";
import { contentOf } from "./content.ts";
import { checkImmutable } from "./immutable.ts";
import { kindNameOf } from "./kind-names.ts";
import { checkNames, checkRedacted, type ObjectFinding } from "./object-checks.ts";
import { relax, type AdmissionReport } from "./relax.ts";
import { manifestOf, storedFile } from "./stored-manifests.ts";

/**
 * Holds manifests against the lint rules, together with what is stored already, and against what cannot be changed. An
 * object is refused for what it says itself, for what contradicts it in the same application, and for changing what cannot
 * be changed. What is missing, or what a stored object says, only warns: it may come or change with the next application, so
 * that the order in which manifests arrive does not matter.
 */

export interface ReviewOptions {
  readonly store: Pick<ResourceStore, "get" | "list">;
  readonly texts: readonly ManifestText[];
  /** IDs of lint rules that are not asked. */
  readonly ignoredRules?: readonly string[] | undefined;
  /** Against which rules hold moments; undefined asks nothing of what is to come. */
  readonly now?: Date | undefined;
  /** Kinds that are not known are left out instead of refused. */
  readonly ignoreUnknown?: boolean | undefined;
  /** Where objects go that name no namespace. */
  readonly defaultNamespace: string;
  /** Objects that name another namespace than `defaultNamespace` are refused, as with kubectl's -n. */
  readonly requireNamespace?: boolean | undefined;
  /** Objects that are being deleted may be written, so that their finalizers can be taken away. */
  readonly allowEnding?: boolean | undefined;
}

/** An object of the manifests, and what is to become of it. */
export interface Candidate {
  readonly key: ResourceKey;
  readonly object: ManifestObject;
  readonly content: Readonly<Record<string, unknown>>;
  readonly stored: Resource | undefined;
  /** Undefined for one that is kept; otherwise why it is left out. */
  readonly ignored: string | undefined;
  readonly hasErrors: boolean;
}

export interface Review {
  readonly candidates: readonly Candidate[];
  readonly findings: readonly AdmissionFinding[];
  /** Whether anything must not be applied. */
  readonly hasErrors: boolean;
}

/** Rules without which an object could not be kept, or not under one name. */
const indispensable: ReadonlySet<string> = new Set(["unknown-kind", "missing-name", "duplicate-object"]);

/** Throws `usage` for a rule that does not exist or cannot be left out. Mistakes in the manifests are findings. */
export function reviewManifests(options: ReviewOptions): Review {
  const { store, ignoreUnknown = false, now } = options;
  const rules = rulesWithout(options.ignoredRules ?? []);
  const { documents, problems, objects: given } = parseManifests(options.texts);
  const objects = given.map((object) => inNamespace(object, options.defaultNamespace));
  const drafts = objects.map((object) => draftCandidate(object, store, ignoreUnknown));
  const stored = storedBeside(store, drafts, objects);

  const lint = (manifests: ParsedManifests): readonly Report[] =>
    runRules(manifests, rules, now === undefined ? {} : { now });
  const alone = lint({ documents, objects, problems: [] });
  const together = lint({ documents, objects: [...stored.others, ...objects], problems });
  const isAboutStored = together.some(({ file }) => file === storedFile);
  const before = isAboutStored ? lint({ documents: [], objects: stored.all, problems: [] }) : [];
  const reports = [
    ...relax({ together, alone, before }).map((report) => judgeUnknownKind(report, ignoreUnknown)),
    ...drafts.flatMap((draft) => ownReports(draft, options)),
    ...twiceReports(drafts),
  ];
  const wrong = new Set(reports.flatMap(({ severity, object }) => (severity === "error" ? [object] : [])));
  return {
    candidates: drafts.map((draft) => ({ ...draft, hasErrors: wrong.has(draft.object) })),
    findings: inOrder(reports, documents).map(toFinding),
    hasErrors: wrong.size > 0,
  };
}

function rulesWithout(ignored: readonly string[]): readonly Rule[] {
  for (const id of ignored) {
    const isKnown = [unreadable, ...allRules].some((rule) => rule.id === id);
    if (isKnown && !indispensable.has(id) && id !== unreadable.id) continue;
    throw new EngineError(
      "usage",
      isKnown ? `the rule "${id}" cannot be left out` : `there is no rule "${id}"`,
      { hint: "tidemark lint --rules lists them." },
    );
  }
  return allRules.filter(({ id }) => !ignored.includes(id));
}

function inNamespace(object: ManifestObject, defaultNamespace: string): ManifestObject {
  const isNamespaced = kindNameOf(object.kind)?.isNamespaced ?? true;
  return { ...object, namespace: isNamespaced ? (object.namespace ?? defaultNamespace) : undefined };
}

type DraftCandidate = Omit<Candidate, "hasErrors">;

function draftCandidate(
  object: ManifestObject,
  store: ReviewOptions["store"],
  ignoreUnknown: boolean,
): DraftCandidate {
  const { apiVersion, kind, name, namespace } = object;
  const key = { kind, namespace: namespace ?? "", name };
  const isKept = findKind(apiVersion, kind) !== undefined;
  return {
    key,
    object,
    content: isKept ? contentOf(kind, object.value) : {},
    stored: isKept ? store.get(key) : undefined,
    ignored: isLeftAlone(apiVersion, kind)
      ? `a ${kind} is accepted, and not run here`
      : isKept || !ignoreUnknown
        ? undefined
        : `"${kind}" of "${apiVersion}" is not known here`,
  };
}

/**
 * What is stored, and what of it stays beside the manifests. Backups are many and of no interest, unless a cluster is to be
 * made from one.
 */
function storedBeside(
  store: ReviewOptions["store"],
  drafts: readonly DraftCandidate[],
  objects: readonly ManifestObject[],
): { readonly all: readonly ManifestObject[]; readonly others: readonly ManifestObject[] } {
  const replaced = new Set(drafts.map(({ key }) => keyId(key)));
  const names = new Set(
    objects.flatMap(({ kind, value }) => (kind === "Cluster" ? textsIn(value["spec"]) : [])),
  );
  const resources = store
    .list()
    .filter(({ kind, metadata }) => kind !== "Backup" || names.has(metadata.name));
  const manifests = resources.map((resource) => manifestOf(resource));
  return {
    all: manifests,
    others: manifests.filter(
      ({ kind, namespace = "", name }) => !replaced.has(keyId({ kind, namespace, name })),
    ),
  };
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** Lint only mentions kinds of other projects; whoever applies them wants something that will not happen. */
function judgeUnknownKind(report: AdmissionReport, ignoreUnknown: boolean): AdmissionReport {
  if (report.rule !== "unknown-kind" || report.object === undefined) return report;
  if (ignoreUnknown) return { ...report, severity: report.severity === "error" ? "warning" : "info" };
  const { apiVersion, kind } = report.object;
  if (!isForeign(apiVersion) || report.severity === "error") return report;
  return {
    ...report,
    severity: "error",
    message: `"${kind}" of "${apiVersion}" is not known here`,
    hint: "Leave it out, or apply with --ignore-unknown.",
  };
}

/** What the object and its stored self say without any rule. */
function ownReports(draft: DraftCandidate, options: ReviewOptions): readonly AdmissionReport[] {
  const { object, key, stored, content } = draft;
  if (findKind(object.apiVersion, object.kind) === undefined) return [];
  const findings = [
    ...checkNames(object, key.namespace),
    ...checkRedacted(object),
    ...checkNamespace(draft, options),
    ...(stored === undefined || options.allowEnding === true ? [] : checkLiving(stored)),
    ...(stored === undefined ? [] : checkImmutable(stored, content)),
  ];
  return findings.map((finding) => reportOf(object, finding));
}

function* checkNamespace(
  { key }: DraftCandidate,
  { store, requireNamespace = false, defaultNamespace, allowEnding = false }: ReviewOptions,
): Iterable<ObjectFinding> {
  const { namespace } = key;
  if (namespace === "") return;
  const path = ["metadata", "namespace"];
  if (requireNamespace && namespace !== defaultNamespace) {
    yield {
      rule: "other-namespace",
      severity: "error",
      path,
      message: `the namespace "${namespace}" of the object does not match the namespace "${defaultNamespace}"`,
      hint: `You must pass --namespace=${namespace} to perform this operation.`,
    };
  }
  const stored = store.get({ kind: "Namespace", namespace: "", name: namespace });
  if (stored?.metadata.deletionTimestamp !== undefined && !allowEnding) {
    yield {
      rule: "namespace-ending",
      severity: "error",
      path,
      message: `namespace "${namespace}" is being deleted`,
      hint: "Wait until it is gone; tidemark get namespaces shows it.",
    };
  }
}

/** What is changed of an object that is being deleted is gone with it a moment later. */
function* checkLiving({ kind, metadata }: Resource): Iterable<ObjectFinding> {
  if (metadata.deletionTimestamp === undefined) return;
  yield {
    rule: "being-deleted",
    severity: "error",
    path: ["metadata", "name"],
    message: `${kind} "${metadata.name}" is being deleted`,
    hint: `Apply it again when it is gone. It is kept by ${metadata.finalizers.join(", ")}.`,
  };
}

/** Two versions of one kind are one object here; lint only sees those of the same version. */
function twiceReports(drafts: readonly DraftCandidate[]): readonly AdmissionReport[] {
  const seen = new Map<string, string>();
  return drafts.flatMap(({ key, object }) => {
    const id = keyId(key);
    const { apiVersion } = object;
    const other = seen.get(id) ?? apiVersion;
    seen.set(id, other);
    if (other === apiVersion || findKind(apiVersion, object.kind) === undefined) return [];
    const finding: ObjectFinding = {
      rule: "duplicate-object",
      severity: "error",
      path: ["apiVersion"],
      message: `${object.kind} "${object.name}" is also given as ${other}`,
    };
    return [reportOf(object, finding)];
  });
}
