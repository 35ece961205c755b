import { isRecord, valueAt, type FieldPath, type ManifestObject } from "../../manifest/manifest-object.ts";
import type { Severity } from "../../manifest/lint/rule.ts";
import { redacted } from "./redact.ts";

/** Something that admission has to say of one object, beside what the lint rules say. */
export interface ObjectFinding {
  readonly rule: string;
  readonly severity: Severity;
  readonly path: FieldPath;
  readonly message: string;
  readonly hint?: string;
}

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedNamePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/**
 * Names of objects and namespaces are parts of file names and addresses, so that they are only what Kubernetes allows is no
 * matter of taste (apimachinery, util/validation).
 */
export function* checkNames(object: ManifestObject, namespace: string): Iterable<ObjectFinding> {
  const { kind, name } = object;
  if (name !== "" && !(kind === "Namespace" ? isDnsLabel(name) : isDnsSubdomain(name))) {
    yield {
      rule: "bad-object-name",
      severity: "error",
      path: ["metadata", "name"],
      message: `"${name}" is no name of a ${kind}: lower-case letters, digits, "-"${kind === "Namespace" ? "" : ' and "."'} are allowed, and it begins and ends with a letter or digit`,
    };
  }
  if (namespace !== "" && !isDnsLabel(namespace)) {
    yield {
      rule: "bad-object-name",
      severity: "error",
      path: ["metadata", "namespace"],
      message: `"${namespace}" is no name of a namespace: lower-case letters, digits and "-" are allowed, and it begins and ends with a letter or digit`,
    };
  }
  for (const [label, value] of textsAt(object, "labels")) {
    if (isQualifiedName(label) && (value === "" || isLabelValue(value))) continue;
    yield {
      rule: "bad-label",
      severity: "error",
      path: ["metadata", "labels", label],
      message: `"${label}: ${value}" is no label: name and value have at most 63 letters, digits, "-", "_" and ".", and begin and end with a letter or digit`,
    };
  }
  for (const [name] of textsAt(object, "annotations")) {
    if (isQualifiedName(name.toLowerCase())) continue;
    yield {
      rule: "bad-label",
      severity: "error",
      path: ["metadata", "annotations", name],
      message: `"${name}" is no name of an annotation: it has at most 63 letters, digits, "-", "_" and ".", and may have a domain and "/" in front`,
    };
  }
}

export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && labelPattern.test(text);
}

function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomainPattern.test(text);
}

function isLabelValue(text: string): boolean {
  return text.length <= 63 && qualifiedNamePattern.test(text);
}

/** With a domain in front, or without: `cnpg.io/cluster`. */
function isQualifiedName(text: string): boolean {
  const [name = "", domain, ...more] = text.split("/").toReversed();
  return isLabelValue(name) && more.length === 0 && (domain === undefined || isDnsSubdomain(domain));
}

function textsAt(object: ManifestObject, field: "labels" | "annotations"): readonly [string, string][] {
  const texts = valueAt(object.value, ["metadata", field]);
  if (!isRecord(texts)) return [];
  return Object.entries(texts).filter((entry): entry is [string, string] => typeof entry[1] === "string");
}

/** A Secret as `get` shows it without --reveal: applying it would replace every value by the word that stands for it. */
export function* checkRedacted(object: ManifestObject): Iterable<ObjectFinding> {
  if (object.kind !== "Secret") return;
  for (const field of ["data", "stringData"]) {
    const values = valueAt(object.value, [field]);
    for (const [key, value] of isRecord(values) ? Object.entries(values) : []) {
      if (value !== redacted) continue;
      yield {
        rule: "redacted-value",
        severity: "error",
        path: [field, key],
        message: `the value of "${key}" is "${redacted}": it is what is shown in place of a secret`,
        hint: "Get the Secret with --reveal to apply it again.",
      };
    }
  }
}
