import {
  formatPath,
  positionOf,
  type ManifestDocument,
  type ManifestObject,
} from "../../manifest/manifest-object.ts";
import type { AdmissionFinding } from "./apply-result.ts";
import type { ObjectFinding } from "./object-checks.ts";
import type { AdmissionReport } from "./relax.ts";

/** What admission itself found, in the form of what the rules found. */
export function reportOf(object: ManifestObject, finding: ObjectFinding): AdmissionReport {
  const { rule, severity, path, message, hint } = finding;
  return {
    rule,
    severity,
    file: object.source.path,
    position: positionOf(object, path),
    object,
    field: formatPath(path),
    message,
    hint,
    fix: undefined,
    mayComeLater: false,
    note: undefined,
  };
}

/** By files and lines; what is said of stored objects comes last. */
export function inOrder(
  reports: readonly AdmissionReport[],
  documents: readonly ManifestDocument[],
): readonly AdmissionReport[] {
  const files = new Map(documents.map(({ path }, index) => [path, index]));
  const place = ({ file }: AdmissionReport): number => files.get(file) ?? documents.length;
  return reports.toSorted(
    (a, b) =>
      place(a) - place(b) || a.position.line - b.position.line || a.position.column - b.position.column,
  );
}

/** As it is answered. */
export function toFinding(report: AdmissionReport): AdmissionFinding {
  const { rule, severity, file, position, object, field, message, hint, fix, note } = report;
  return {
    rule,
    severity,
    file,
    line: position.line,
    column: position.column,
    object:
      object === undefined
        ? null
        : {
            apiVersion: object.apiVersion,
            kind: object.kind,
            namespace: object.namespace ?? null,
            name: object.name,
          },
    field,
    message,
    hint: hint ?? null,
    fix: fix?.title ?? null,
    note: note ?? null,
  };
}
