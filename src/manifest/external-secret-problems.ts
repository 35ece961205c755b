import type { ExternalSecretSpec } from "./kinds/external-secret.ts";
import { compileGoRegexp } from "./go-regexp.ts";
import type { FieldPath } from "./manifest-object.ts";
import { parseSecretTemplate } from "./secret-template.ts";

/** Something for which an ExternalSecret cannot make its Secret, whatever its source holds. */
export interface ExternalSecretProblem {
  /**
   * - `invalid`: External Secrets Operator refuses it too.
   * - `unsupported`: it does it, and we do not.
   */
  readonly kind: "invalid" | "unsupported";
  readonly path: FieldPath;
  readonly message: string;
}

const target: FieldPath = ["spec", "target"];

/** All of them, in the order of the fields. Values of Secrets are in none of the messages. */
export function externalSecretProblems(spec: ExternalSecretSpec): readonly ExternalSecretProblem[] {
  return [
    ...policyProblems(spec),
    ...templateProblems(spec),
    ...unsupportedIf(spec.target?.manifest, [...target, "manifest"], "only Secrets are made here"),
    ...unsupportedIf(spec.syncWindows, ["spec", "syncWindows"], "windows for refreshing are not kept here"),
    ...sourceProblems(spec),
    ...dataProblems(spec),
    ...(spec.dataFrom ?? []).flatMap((from, index) => dataFromProblems(from, ["spec", "dataFrom", index])),
  ];
}

const invalid = (path: FieldPath, message: string): ExternalSecretProblem => ({
  kind: "invalid",
  path,
  message,
});
const unsupported = (path: FieldPath, message: string): ExternalSecretProblem => ({
  kind: "unsupported",
  path,
  message,
});

function unsupportedIf(value: unknown, path: FieldPath, message: string): readonly ExternalSecretProblem[] {
  return value === undefined ? [] : [unsupported(path, message)];
}

/** The first two sentences are the operator's. */
function policyProblems(spec: ExternalSecretSpec): readonly ExternalSecretProblem[] {
  const { creationPolicy = "Owner", deletionPolicy = "Retain" } = spec.target ?? {};
  const path = [...target, "deletionPolicy"];
  if (deletionPolicy === "Delete" && creationPolicy !== "Owner") {
    return [
      invalid(
        path,
        "deletionPolicy=Delete must not be used when the controller doesn't own the secret. Please set creationPolicy=Owner",
      ),
    ];
  }
  if (deletionPolicy === "Merge" && creationPolicy === "None") {
    return [
      invalid(
        path,
        "deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with",
      ),
    ];
  }
  return [];
}

function templateProblems(spec: ExternalSecretSpec): readonly ExternalSecretProblem[] {
  const template = spec.target?.template;
  if (template === undefined) return [];
  const path = [...target, "template"];
  const texts = [
    { at: ["data"], values: template.data ?? {} },
    { at: ["metadata", "labels"], values: template.metadata?.labels ?? {} },
    { at: ["metadata", "annotations"], values: template.metadata?.annotations ?? {} },
  ];
  return [
    ...(template.engineVersion === "v1"
      ? [unsupported([...path, "engineVersion"], "templates of version v1 are not understood here")]
      : []),
    ...unsupportedIf(
      template.templateFrom?.[0],
      [...path, "templateFrom"],
      "templates are not read from other objects here",
    ),
    ...unsupportedIf(
      template.metadata?.finalizers?.[0],
      [...path, "metadata", "finalizers"],
      "nothing here would take the finalizers away",
    ),
    ...texts.flatMap(({ at, values }) =>
      Object.entries(values).flatMap(([name, text]) => {
        const parsed = parseSecretTemplate(text);
        return "error" in parsed ? [unsupported([...path, ...at, name], parsed.error)] : [];
      }),
    ),
  ];
}

function sourceProblems({ data = [], dataFrom = [] }: ExternalSecretSpec): readonly ExternalSecretProblem[] {
  if (data.length === 0 && dataFrom.length === 0) {
    return [invalid(["spec"], "either data or dataFrom should be specified")];
  }
  return [
    ...data.map(({ sourceRef }, index) => ({ sourceRef, path: ["spec", "data", index, "sourceRef"] })),
    ...dataFrom.map(({ sourceRef }, index) => ({
      sourceRef,
      path: ["spec", "dataFrom", index, "sourceRef"],
    })),
  ].flatMap(({ sourceRef, path }) =>
    unsupportedIf(sourceRef?.generatorRef, [...path, "generatorRef"], "values are not generated here"),
  );
}

function dataProblems({
  data = [],
  target: { deletionPolicy = "Retain" } = {},
}: ExternalSecretSpec): readonly ExternalSecretProblem[] {
  const keys = data.map(({ secretKey }) => secretKey);
  return data.flatMap(({ secretKey, remoteRef }, index) => {
    const path = ["spec", "data", index];
    const isTwice = deletionPolicy === "Retain" && keys.indexOf(secretKey) !== index;
    return [
      ...(isTwice ? [invalid([...path, "secretKey"], `duplicate secretKey found: ${secretKey}`)] : []),
      ...metadataProblems(remoteRef, [...path, "remoteRef"]),
    ];
  });
}

function metadataProblems(
  { metadataPolicy }: { readonly metadataPolicy?: "None" | "Fetch" | undefined },
  path: FieldPath,
): readonly ExternalSecretProblem[] {
  return metadataPolicy === "Fetch"
    ? [unsupported([...path, "metadataPolicy"], "the sources here have values only, and no metadata")]
    : [];
}

type DataFrom = NonNullable<ExternalSecretSpec["dataFrom"]>[number];

function dataFromProblems(
  { extract, find, sourceRef, rewrite }: DataFrom,
  path: FieldPath,
): readonly ExternalSecretProblem[] {
  return [
    ...(extract === undefined && find === undefined && sourceRef === undefined
      ? [invalid(path, "either extract, find, or sourceRef must be set to dataFrom")]
      : []),
    ...(extract !== undefined && find !== undefined
      ? [invalid(path, "extract, find, or generatorRef cannot be set at the same time")]
      : []),
    ...(extract === undefined ? [] : metadataProblems(extract, [...path, "extract"])),
    ...(find === undefined ? [] : findProblems(find, [...path, "find"])),
    ...(rewrite ?? []).flatMap((step, index) => rewriteProblems(step, [...path, "rewrite", index])),
  ];
}

function findProblems(
  find: NonNullable<DataFrom["find"]>,
  path: FieldPath,
): readonly ExternalSecretProblem[] {
  const regexp = find.name?.regexp;
  if (find.tags !== undefined) return [unsupported([...path, "tags"], "the sources here have no tags")];
  if (regexp === undefined) return [unsupported(path, "names are found by name.regexp only here")];
  return compileGoRegexp(regexp) === undefined
    ? [
        unsupported(
          [...path, "name", "regexp"],
          `"${regexp}" is not a regular expression that is understood here`,
        ),
      ]
    : [];
}

function rewriteProblems(
  { regexp, transform, merge }: NonNullable<DataFrom["rewrite"]>[number],
  path: FieldPath,
): readonly ExternalSecretProblem[] {
  if ([regexp, transform, merge].filter((way) => way !== undefined).length !== 1) {
    return [invalid(path, "exactly one of regexp, transform and merge is to be given")];
  }
  if (regexp === undefined) {
    return [
      unsupported(
        [...path, transform === undefined ? "merge" : "transform"],
        "keys are rewritten by regexp only here",
      ),
    ];
  }
  return compileGoRegexp(regexp.source) === undefined
    ? [
        unsupported(
          [...path, "regexp", "source"],
          `"${regexp.source}" is not a regular expression that is understood here`,
        ),
      ]
    : [];
}
