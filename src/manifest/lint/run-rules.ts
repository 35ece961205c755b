import { formatPath, positionOf, type ManifestObject, type Position } from "../manifest-object.ts";
import type { ParsedManifests } from "../parse.ts";
import type { Fix, Rule, Severity } from "./rule.ts";
import { World } from "./world.ts";

/** A finding with its rule and its place. */
export interface Report {
  readonly rule: string;
  readonly severity: Severity;
  readonly file: string;
  readonly position: Position;
  /** Undefined for what is no object. */
  readonly object: ManifestObject | undefined;
  /** `spec.schedule`; empty for the whole object. */
  readonly field: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly fix: Fix | undefined;
  /** Another manifest can make it untrue. */
  readonly mayComeLater: boolean;
}

export interface LintOptions {
  /** IDs of rules that are not asked. */
  readonly ignored?: ReadonlySet<string>;
  /** When the manifests are looked at: for rules about moments that have not come yet. */
  readonly now?: Date;
}

/** What is no object: found when reading, not by asking. */
export const unreadable: Rule = {
  id: "unreadable",
  severity: "error",
  summary: "a text that is no manifest",
  explanation:
    "It is no YAML or JSON, or no Kubernetes object: a mapping with apiVersion, kind and metadata. The other documents of the file are still looked at.",
  check: () => [],
};

/** Asks every rule; the result is in the order of files and lines. */
export function runRules(
  manifests: ParsedManifests,
  rules: readonly Rule[],
  { ignored = new Set(), now }: LintOptions = {},
): readonly Report[] {
  const world = new World(manifests.objects, now);
  const unread = manifests.problems.map(({ path, position, message }): Report => ({
    rule: unreadable.id,
    severity: "error",
    file: path,
    position,
    object: undefined,
    field: "",
    message,
    hint: undefined,
    fix: undefined,
    mayComeLater: false,
  }));
  const found = rules
    .filter(({ id }) => !ignored.has(id))
    .flatMap((rule) => [...rule.check(world)].map((finding) => ({ rule, finding })));
  const reports = found.map(({ rule, finding }): Report => ({
    rule: rule.id,
    severity: finding.severity ?? rule.severity,
    file: finding.object.source.path,
    position: positionOf(finding.object, finding.path),
    object: finding.object,
    field: formatPath(finding.path),
    message: finding.message,
    hint: finding.hint,
    fix: finding.fix,
    mayComeLater: finding.mayComeLater ?? false,
  }));
  const files = new Map(manifests.documents.map(({ path }, index) => [path, index]));
  return [...unread, ...reports].toSorted(
    (a, b) =>
      (files.get(a.file) ?? 0) - (files.get(b.file) ?? 0) ||
      a.position.line - b.position.line ||
      a.position.column - b.position.column,
  );
}
