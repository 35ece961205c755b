import { isScalar, LineCounter, parseAllDocuments, visit, type Document, type ScalarTag } from "yaml";
import {
  isRecord,
  positionOf,
  type FieldPath,
  type ManifestDocument,
  type ManifestObject,
  type ManifestText,
  type Position,
} from "./manifest-object.ts";

/** A text, or a part of one, that is no Kubernetes object. */
export interface ParseProblem {
  readonly path: string;
  readonly position: Position;
  readonly message: string;
}

export interface ParsedManifests {
  readonly documents: readonly ManifestDocument[];
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly ParseProblem[];
}

/**
 * Reads manifests: YAML with any number of documents, or JSON, with `kind: List` taken apart. Empty documents are nothing.
 * What cannot be read is a problem with its place; the rest is still read.
 */
export function parseManifests(texts: readonly ManifestText[]): ParsedManifests {
  const documents: ManifestDocument[] = [];
  const objects: ManifestObject[] = [];
  const problems: ParseProblem[] = [];
  for (const { path, text } of texts) {
    const lines = new LineCounter();
    for (const { document, offset, text: part } of documentsOf(text, lines)) {
      const source: ManifestDocument = { path, document, lines, offset, text: part };
      documents.push(source);
      const problem = problemOf(document);
      if (problem !== undefined) {
        const { line, col } = lines.linePos(problem.offset);
        problems.push({ path, position: { line, column: col }, message: problem.message });
      } else if (!isEmpty(document)) {
        collect(source, [], document.toJS({ maxAliasCount }), objects, problems);
      }
    }
  }
  return { documents, objects, problems };
}

interface DocumentText {
  readonly document: Document.Parsed;
  readonly offset: number;
  readonly text: string;
}

/** More than any manifest has; a bomb has thousands. */
const maxAliasCount = 100;

function documentsOf(text: string, lines: LineCounter): readonly DocumentText[] {
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    // kubectl reads YAML 1.1, with its merge keys and its many words for true and false.
    merge: true,
    customTags: [yesAndNo],
  });
  const documents = Array.isArray(parsed) ? parsed : [];
  const starts = documents.map(({ range }, index) => (index === 0 ? 0 : range[0]));
  return documents.map((document, index) => {
    const offset = starts[index] ?? 0;
    return { document, offset, text: text.slice(offset, starts[index + 1] ?? text.length) };
  });
}

const yesAndNo: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  identify: () => false,
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|on)/i.test(text),
};

/** Comments, or nothing at all between two marks. */
function isEmpty({ contents }: Document.Parsed): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function problemOf(
  document: Document.Parsed,
): { readonly offset: number; readonly message: string } | undefined {
  const [error] = document.errors;
  if (error !== undefined) return { offset: error.pos[0], message: inBrief(error.message) };
  const cycle = cyclicAlias(document);
  if (cycle !== undefined) return { offset: cycle, message: "an alias that contains itself" };
  try {
    document.toJS({ maxAliasCount });
    return undefined;
  } catch (cause) {
    return {
      offset: document.range[0],
      message: inBrief(cause instanceof Error ? cause.message : String(cause)),
    };
  }
}

/** The offset of an alias whose target is around it. */
function cyclicAlias(document: Document.Parsed): number | undefined {
  let found: number | undefined;
  visit(document, {
    Alias(_key, alias, ancestors) {
      const target = alias.resolve(document);
      if (target === undefined || !ancestors.includes(target)) return undefined;
      found = alias.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return found;
}

function collect(
  source: ManifestDocument,
  root: FieldPath,
  value: unknown,
  objects: ManifestObject[],
  problems: ParseProblem[],
): void {
  const refuse = (message: string): void => {
    const place = { source, root, apiVersion: "", kind: "", name: "", namespace: undefined, value: {} };
    problems.push({ path: source.path, position: positionOf(place, []), message });
  };
  if (!isRecord(value)) {
    refuse("not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected");
    return;
  }
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    refuse(`not a Kubernetes object: ${typeof kind === "string" ? "apiVersion" : "kind"} is missing`);
    return;
  }
  if (kind === "List" || (kind.endsWith("List") && Array.isArray(value["items"]))) {
    const items: unknown = value["items"] ?? [];
    if (!Array.isArray(items)) {
      refuse("the items of a List are expected to be a sequence");
      return;
    }
    for (const [index, item] of items.entries()) {
      collect(source, [...root, "items", index], item, objects, problems);
    }
    return;
  }
  const names = isRecord(metadata) ? metadata : {};
  objects.push({
    source,
    root,
    apiVersion,
    kind,
    name: text(names["name"]) ?? "",
    namespace: text(names["namespace"]),
    value,
  });
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Without the text that the parser stumbled over: it may be binary, endless, or a password. */
function inBrief(message: string): string {
  return (message.split("\n")[0] ?? message).replace(/:? ["'`].*$/, "");
}
