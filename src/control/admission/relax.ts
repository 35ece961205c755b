import type { ManifestObject } from "../../manifest/manifest-object.ts";
import type { Report } from "../../manifest/lint/run-rules.ts";
import { storedFile } from "./stored-manifests.ts";

/** A finding of lint as admission takes it. */
export interface AdmissionReport extends Report {
  /** Why what lint calls an error is a warning here. */
  readonly note: string | undefined;
}

export interface LintRuns {
  /** Of the manifests beside what is stored. */
  readonly together: readonly Report[];
  /** Of the manifests alone. */
  readonly alone: readonly Report[];
  /** Of what is stored, as it is without the manifests. */
  readonly before: readonly Report[];
}

/**
 * Errors against what is stored that stay errors: two servers that write into one archive do harm the moment they are
 * applied, whatever comes later.
 */
const neverRelaxed: ReadonlySet<string> = new Set(["two-writers", "restores-into-origin"]);

/**
 * Decides how much each finding weighs when manifests are applied. Manifests may come one at a time and in any order, so an
 * error stays one only if it is one of these manifests by themselves, and no later manifest could take it back. Of stored
 * objects only that is said which these manifests bring about.
 */
export function relax({ together, alone, before }: LintRuns): readonly AdmissionReport[] {
  const own = errorsByObject(alone);
  const old = errorsByObject(before, () => true);
  return together.flatMap((report): readonly AdmissionReport[] => {
    const { severity, rule, object } = report;
    const isStored = report.file === storedFile;
    if (isStored && old.has(object, report)) return [];
    if (severity !== "error" || object === undefined) return [{ ...report, note: undefined }];
    if (report.mayComeLater) {
      return [
        { ...report, severity: "warning", note: "an error for lint; here what is missing may still come" },
      ];
    }
    if (neverRelaxed.has(rule) || (!isStored && own.has(object, report)))
      return [{ ...report, note: undefined }];
    return [
      { ...report, severity: "warning", note: "an error for lint; here the stored objects may still change" },
    ];
  });
}

interface ReportIndex {
  has(object: ManifestObject | undefined, report: Report): boolean;
}

/** The same object, rule and field: the words may differ with what else is there. */
function errorsByObject(
  reports: readonly Report[],
  isWanted: (report: Report) => boolean = ({ severity }) => severity === "error",
): ReportIndex {
  const index = new Map<ManifestObject | undefined, Set<string>>();
  const idOf = ({ rule, field }: Report): string => `${rule} ${field}`;
  for (const report of reports.filter(isWanted)) {
    const ids = index.get(report.object) ?? new Set();
    index.set(report.object, ids.add(idOf(report)));
  }
  return { has: (object, report) => index.get(object)?.has(idOf(report)) ?? false };
}
