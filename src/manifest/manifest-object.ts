import type { Document, LineCounter } from "yaml";
import { isCollection, isMap, isNode, isScalar } from "yaml";

/** From the top of an object down to a field: `["spec", "plugins", 0, "name"]`. */
export type FieldPath = readonly (string | number)[];

/** A place in a file, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One file's worth of text; the path is what messages say (`-` for standard input). */
export interface ManifestText {
  readonly path: string;
  readonly text: string;
}

/** One YAML document of a file; those with nothing but comments too. */
export interface ManifestDocument {
  readonly path: string;
  /** As it stands in the file: all documents of a file one after the other are the file. */
  readonly text: string;
  /** Where that begins in the file. */
  readonly offset: number;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

/** One Kubernetes object: a document, or an item of a `kind: List`. */
export interface ManifestObject {
  readonly source: ManifestDocument;
  /** Where in its document it stands: empty, or `["items", 3]`. */
  readonly root: FieldPath;
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty when it has none, which is an error of its own. */
  readonly name: string;
  /** As given; undefined leaves it to whoever applies it. */
  readonly namespace: string | undefined;
  /** As written: nothing of it has been checked. */
  readonly value: Readonly<Record<string, unknown>>;
}

/** `Cluster production/pg`, for messages. */
export function objectTitle({ kind, name, namespace }: ManifestObject): string {
  const place = namespace === undefined ? "" : `${namespace}/`;
  return `${kind} ${place}${name === "" ? "(without a name)" : name}`;
}

/** Where a field, or the nearest thing around it that exists, stands in its file. */
export function positionOf({ source, root }: ManifestObject, path: FieldPath): Position {
  const { document, lines } = source;
  const full = [...root, ...path];
  for (let length = full.length; length >= 0; length--) {
    const offset = offsetOf(document, full.slice(0, length));
    if (offset === undefined) continue;
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  }
  return { line: 1, column: 1 };
}

/** The offset of a field's key, or of an item. */
function offsetOf(document: Document.Parsed, path: FieldPath): number | undefined {
  const last = path.at(-1);
  if (last === undefined) return document.contents?.range[0];
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last));
    return pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
  }
  if (!isCollection(parent)) return undefined;
  const item = parent.get(last, true);
  return isNode(item) ? item.range?.[0] : undefined;
}

/** The value at a path of an object, however deep; undefined where there is nothing. */
export function valueAt(value: unknown, path: FieldPath): unknown {
  let at = value;
  for (const step of path) {
    if (Array.isArray(at) && typeof step === "number") at = at[step];
    else if (isRecord(at) && Object.hasOwn(at, step)) at = at[step];
    else return undefined;
  }
  return at;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `spec.plugins[0].parameters.targetTime`; names that are no words are quoted. */
export function formatPath(path: FieldPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
