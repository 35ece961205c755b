import { z } from "zod";
import { factsOf, innerSchema } from "./kinds/field-facts.ts";
import { isRecord, type FieldPath } from "./manifest-object.ts";
import { nearest } from "./nearest.ts";

/** A value that its kind's schema does not allow. */
export type SchemaProblem =
  | {
      readonly kind: "unknown-field";
      /** To the field itself. */
      readonly path: FieldPath;
      /** A field of the same mapping with nearly this name. */
      readonly nearestName: string | undefined;
      /** Where fields of exactly this name are known in this kind. */
      readonly knownAt: readonly FieldPath[];
    }
  | { readonly kind: "missing-field"; readonly path: FieldPath }
  | { readonly kind: "bad-value"; readonly path: FieldPath; readonly message: string };

/** Holds a value against the schema of its kind: every problem, each with its path. */
export function checkSchema(schema: z.ZodType, value: unknown): readonly SchemaProblem[] {
  const result = schema.safeParse(value);
  if (result.success) return [];
  return result.error.issues.flatMap((issue) => problemsOf(schema, issue, value));
}

function problemsOf(schema: z.ZodType, issue: z.core.$ZodIssue, value: unknown): readonly SchemaProblem[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.code === "unrecognized_keys") {
    const names = fieldNames(schemaAt(schema, path));
    return issue.keys.map((key) => ({
      kind: "unknown-field",
      path: [...path, key],
      nearestName: nearest(key, names),
      knownAt: pathsTo(schema, key),
    }));
  }
  if (issue.code === "invalid_type" && isAbsent(value, path)) return [{ kind: "missing-field", path }];
  const meant = issue.code === "invalid_union" ? meantForm(issue) : undefined;
  if (meant !== undefined) {
    return meant.flatMap((inner) =>
      problemsOf(schema, { ...inner, path: [...issue.path, ...inner.path] }, value),
    );
  }
  return [
    { kind: "bad-value", path, message: issue.message.replace(/^Invalid (input|option|string): /, "") },
  ];
}

/**
 * What is wrong with a value that may have several forms: of the one whose type it has, if there is one. Undefined leaves
 * it to what the schema says of all of them.
 */
function meantForm(issue: z.core.$ZodIssueInvalidUnion): readonly z.core.$ZodIssue[] | undefined {
  const isOfType = (issues: readonly z.core.$ZodIssue[]): boolean =>
    !issues.some(
      ({ code, path }) => path.length === 0 && (code === "invalid_type" || code === "invalid_value"),
    );
  return issue.errors.find(isOfType) ?? (issue.message === "Invalid input" ? issue.errors.at(0) : undefined);
}

function isAbsent(value: unknown, path: FieldPath): boolean {
  let at = value;
  for (const step of path) {
    if (Array.isArray(at) && typeof step === "number") at = at[step];
    else if (isRecord(at) && Object.hasOwn(at, step)) at = at[step];
    else return true;
  }
  return at === undefined;
}

/** A field that is set and of which its schema says something. */
export interface NotedField {
  readonly path: FieldPath;
  readonly kubernetesOnly: boolean;
  readonly deprecated: string | undefined;
}

/** All such fields of a value, outermost only. */
export function notedFields(
  schema: z.core.$ZodType,
  value: unknown,
  path: FieldPath = [],
): readonly NotedField[] {
  const { kubernetesOnly, deprecated } = factsOf(schema);
  if (kubernetesOnly === true) return [{ path, kubernetesOnly: true, deprecated: undefined }];
  const own = deprecated === undefined ? [] : [{ path, kubernetesOnly: false, deprecated }];
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    const element = inner.element;
    return [...own, ...value.flatMap((item, index) => notedFields(element, item, [...path, index]))];
  }
  if (!(inner instanceof z.ZodObject) || !isRecord(value)) return own;
  const shape: Readonly<Record<string, z.core.$ZodType>> = inner.shape;
  const below = Object.entries(value).flatMap(([name, item]) => {
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined;
    return field === undefined ? [] : notedFields(field, item, [...path, name]);
  });
  return [...own, ...below];
}

function schemaAt(schema: z.core.$ZodType, path: FieldPath): z.core.$ZodType | undefined {
  let at: z.core.$ZodType | undefined = schema;
  for (const step of path) {
    if (at === undefined) return undefined;
    const inner = innerSchema(at);
    if (inner instanceof z.ZodArray) at = inner.element;
    else if (inner instanceof z.ZodObject)
      at = (inner.shape as Record<string, z.core.$ZodType>)[String(step)];
    else if (inner instanceof z.ZodUnion)
      at = inner.options.find((option) => innerSchema(option) instanceof z.ZodObject);
    else return undefined;
  }
  return at;
}

function fieldNames(schema: z.core.$ZodType | undefined): readonly string[] {
  if (schema === undefined) return [];
  const inner = innerSchema(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** Every path of the schema that ends in this name; `[]` of a sequence is left out. */
function pathsTo(schema: z.core.$ZodType, name: string, path: FieldPath = []): readonly FieldPath[] {
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodArray) return pathsTo(inner.element, name, path);
  if (!(inner instanceof z.ZodObject)) return [];
  const shape: Readonly<Record<string, z.core.$ZodType>> = inner.shape;
  return Object.entries(shape).flatMap(([field, at]) => [
    ...(field === name ? [[...path, field]] : []),
    ...pathsTo(at, name, [...path, field]),
  ]);
}
