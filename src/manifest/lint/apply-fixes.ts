import { isAlias, isMap, isScalar, Scalar, type Document, type Pair, type YAMLMap } from "yaml";
import type { FieldPath, ManifestDocument } from "../manifest-object.ts";
import type { Fix, ObjectEdit } from "./rule.ts";

/** The text of a file after its fixes. */
export interface FixedFile {
  readonly path: string;
  readonly text: string;
  /** Titles of what was done, in order. */
  readonly applied: readonly string[];
}

/**
 * Applies fixes and gives the files that changed. Documents without a fix stay as they are, byte for byte; where only values
 * change, so does everything else. Where fields come, go or move, the document is written anew, with its comments, order and
 * manner of indenting. Of two fixes that touch the same field the first one counts: the other is found again by the next
 * run, if it is still true. A fix through an alias is left out: it would change other places too.
 */
export function applyFixes(
  documents: readonly ManifestDocument[],
  fixes: readonly Fix[],
): readonly FixedFile[] {
  const touched = new Set<string>();
  const titles = new Map<string, string[]>();
  const edits = new Map<ManifestDocument, ObjectEdit[]>();
  for (const fix of fixes) {
    const places = fix.edits.flatMap(placesOf);
    if (places.some((place) => touched.has(place)) || fix.edits.some(crossesAlias)) continue;
    for (const place of places) touched.add(place);
    for (const edit of fix.edits) {
      const { source } = edit.object;
      edits.set(source, [...(edits.get(source) ?? []), edit]);
    }
    for (const path of new Set(fix.edits.map(({ object }) => object.source.path))) {
      titles.set(path, [...(titles.get(path) ?? []), fix.title]);
    }
  }
  return [...titles].map(([path, applied]) => ({
    path,
    applied,
    text: documents
      .filter((document) => document.path === path)
      .map((document) => fixedText(document, edits.get(document) ?? []))
      .join(""),
  }));
}

function placesOf(edit: ObjectEdit): readonly string[] {
  const { source, root } = edit.object;
  const paths = edit.kind === "move" ? [edit.from, edit.to] : [edit.path];
  return paths.map((path) => JSON.stringify([source.path, source.offset, ...root, ...path]));
}

function crossesAlias(edit: ObjectEdit): boolean {
  const paths = edit.kind === "move" ? [edit.from, edit.to] : [edit.path];
  return paths.some((path) => {
    const full = fullPath(edit, path);
    return full.some((_step, index) => {
      const parent = full.slice(0, index);
      return isAlias(parent.length === 0 ? undefined : nodeAt(edit.object.source.document, parent));
    });
  });
}

const fullPath = (edit: ObjectEdit, path: FieldPath): FieldPath => [...edit.object.root, ...path];

/** Undefined where there is nothing, also below an alias, which the library would not look into. */
function nodeAt(document: Document.Parsed, path: FieldPath): unknown {
  try {
    return document.getIn(path, true);
  } catch {
    return undefined;
  }
}

function fixedText(source: ManifestDocument, edits: readonly ObjectEdit[]): string {
  if (edits.length === 0) return source.text;
  return replaceValues(source, edits) ?? writeAnew(source, edits);
}

/** Undefined unless every edit gives another value to a scalar on one line. */
function replaceValues(
  { document, text, offset }: ManifestDocument,
  edits: readonly ObjectEdit[],
): string | undefined {
  const splices: { readonly from: number; readonly to: number; readonly value: string }[] = [];
  for (const edit of edits) {
    if (edit.kind !== "set" || typeof edit.value !== "string") return undefined;
    const node = nodeAt(document, fullPath(edit, edit.path));
    if (!isScalar(node) || node.range === undefined || node.range === null) return undefined;
    const [from, to] = [node.range[0] - offset, node.range[1] - offset];
    if (/\n/.test(text.slice(from, to))) return undefined;
    splices.push({ from, to, value: quoted(edit.value, node.type) });
  }
  return splices
    .toSorted((a, b) => b.from - a.from)
    .reduce((result, { from, to, value }) => result.slice(0, from) + value + result.slice(to), text);
}

/** In the quotes that the value had; plain ones get some where they could be read as something else. */
function quoted(value: string, type: Scalar["type"]): string {
  if (type === Scalar.QUOTE_SINGLE) return `'${value.replaceAll("'", "''")}'`;
  return type === Scalar.PLAIN && /^[A-Za-z][\w./-]*$/.test(value) ? value : JSON.stringify(value);
}

function writeAnew({ document, text }: ManifestDocument, edits: readonly ObjectEdit[]): string {
  for (const edit of edits) applyEdit(document, edit);
  const newLine = text.includes("\r\n") ? "\r\n" : "\n";
  return stringify(document, text).replaceAll(/\r?\n/g, newLine);
}

function stringify(document: Document.Parsed, text: string): string {
  if (text.trimStart().startsWith("{")) {
    const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? (text.trim().includes("\n") ? "  " : "");
    return `${JSON.stringify(document.toJS(), null, indent)}\n`;
  }
  return document.toString({
    lineWidth: 0,
    indentSeq: !/^([ \t]*)[^\s#-][^\n]*:[ \t]*\r?\n\1- /m.test(text),
    flowCollectionPadding: !/\{[^\s}]/.test(text),
  });
}

function applyEdit(document: Document.Parsed, edit: ObjectEdit): void {
  switch (edit.kind) {
    case "set":
      document.setIn(fullPath(edit, edit.path), edit.value);
      break;
    case "remove":
      removeIn(document, fullPath(edit, edit.path));
      break;
    case "move": {
      const from = fullPath(edit, edit.from);
      const to = fullPath(edit, edit.to);
      const node = nodeAt(document, from);
      const comment = commentAbove(document, from);
      removeIn(document, from, { comments: false });
      document.setIn(to, edit.value ?? node);
      const { pair } = fieldAt(document, to);
      if (pair !== undefined && comment !== undefined) {
        const key = new Scalar(isScalar(pair.key) ? pair.key.value : pair.key);
        key.commentBefore = comment;
        pair.key = key;
      }
      break;
    }
  }
}

interface Field {
  readonly parent: YAMLMap | undefined;
  readonly index: number;
  readonly pair: Pair | undefined;
}

function fieldAt(document: Document.Parsed, path: FieldPath): Field {
  const parent = path.length === 1 ? document.contents : nodeAt(document, path.slice(0, -1));
  if (!isMap(parent)) return { parent: undefined, index: -1, pair: undefined };
  const index = parent.items.findIndex(({ key }) => (isScalar(key) ? key.value : key) === path.at(-1));
  return { parent, index, pair: parent.items[index] };
}

/** A comment above a mapping's first field belongs to the mapping, as the library sees it. */
function commentAbove(document: Document.Parsed, path: FieldPath): string | undefined {
  const { parent, index, pair } = fieldAt(document, path);
  const comment =
    (isScalar(pair?.key) ? pair.key.commentBefore : undefined) ??
    (index === 0 ? parent?.commentBefore : undefined);
  return comment ?? undefined;
}

/** Removes a field, and mappings around it that have nothing else. Comments above it pass to what follows. */
function removeIn(document: Document.Parsed, path: FieldPath, { comments } = { comments: true }): void {
  const { parent, index, pair } = fieldAt(document, path);
  const comment = isScalar(pair?.key) ? pair.key.commentBefore : undefined;
  const next = parent?.items[index + 1]?.key;
  document.deleteIn(path);
  if (comments && typeof comment === "string" && isScalar(next)) {
    const own = next.commentBefore;
    next.commentBefore = typeof own === "string" ? `${comment}\n${own}` : comment;
  }
  // What was above the first field would now stand above the next one, or be lost with the mapping.
  if (!comments && index === 0 && parent !== undefined) parent.commentBefore = null;
  const parentPath = path.slice(0, -1);
  if (parent?.items.length === 0 && parentPath.length > 0) removeIn(document, parentPath, { comments });
}
