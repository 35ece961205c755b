import { EngineError } from "../common/errors.ts";
import { findKindName, kindNames, versionPath, type KindName } from "../control/admission/kind-names.ts";
import { nearest } from "../manifest/nearest.ts";

/** Objects as `get`, `describe` and `delete` name them. */
export interface KindRequest {
  readonly kind: KindName;
  /** Empty for all of the kind. */
  readonly names: readonly string[];
}

/**
 * Reads `clusters`, `cluster pg other`, `clusters,backups`, `cluster/pg backup/daily` and `all`, as kubectl does. Throws
 * `usage`.
 */
export function parseKindArguments(words: readonly string[]): readonly KindRequest[] {
  const [first, ...rest] = words;
  if (first === undefined) {
    throw new EngineError("usage", "no kind is named", {
      hint: `Name one of ${kindNames.map(({ plural }) => plural).join(", ")}, or all.`,
    });
  }
  if (words.some((word) => word.includes("/"))) return words.map(parseKindAndName);
  if (first.toLowerCase() === "all") {
    if (rest.length > 0) throw new EngineError("usage", "all takes no names");
    return kindNames.filter(({ isInAll }) => isInAll).map((kind) => ({ kind, names: [] }));
  }
  const kinds = first.split(",").filter((word) => word !== "");
  return kinds.map((word) => ({ kind: requireKind(word), names: rest }));
}

function parseKindAndName(word: string): KindRequest {
  const [kind = "", name = "", ...more] = word.split("/");
  if (kind === "" || name === "" || more.length > 0) {
    throw new EngineError("usage", `"${word}" does not name an object as KIND/NAME, which others here do`);
  }
  return { kind: requireKind(kind), names: [name] };
}

function requireKind(word: string): KindName {
  const found = findKindName(word);
  if (found !== undefined) return found;
  const near = nearest(
    word,
    kindNames.flatMap(({ kind, plural }) => [plural, kind.toLowerCase()]),
  );
  throw new EngineError("usage", `there is no kind "${word}"`, {
    hint:
      near === undefined
        ? `There are ${kindNames.map(({ plural }) => plural).join(", ")}.`
        : `Did you mean "${near}"?`,
  });
}

/** Where the API has the objects of a kind: in one namespace, or (undefined) in all of them. */
export function listPath(
  { apiVersions, plural, isNamespaced }: KindName,
  namespace: string | undefined,
): string {
  const version = versionPath(apiVersions[0]);
  return isNamespaced && namespace !== undefined
    ? `${version}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${version}/${plural}`;
}

export function objectPath(kind: KindName, namespace: string, name: string): string {
  return `${listPath(kind, namespace)}/${encodeURIComponent(name)}`;
}

/** `cluster/pg`, as results name objects. */
export function shortName(kind: string, name: string): string {
  return `${kind.toLowerCase()}/${name}`;
}
