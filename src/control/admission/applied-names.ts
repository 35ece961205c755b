import { isRecord } from "../../manifest/manifest-object.ts";
import type { ResourceMetadata } from "../resources/resource.ts";

/**
 * Labels and annotations have several writers: manifests, reconcilers, people. So an application only takes away those that
 * an earlier one set; which they were is kept in an annotation, by name. Their contents are not: kubectl's annotation for
 * the same purpose holds the whole object, Secrets with all their values.
 */
export const lastAppliedAnnotation = "tidemark.dev/last-applied";

const kubectlAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

type Texts = Readonly<Record<string, string>>;

export interface LabelsAndAnnotations {
  readonly labels: Texts;
  readonly annotations: Texts;
}

/** Those that a manifest sets, without the ones that are somebody's own bookkeeping. */
export function givenBy(manifest: Readonly<Record<string, unknown>>): LabelsAndAnnotations {
  const metadata = isRecord(manifest["metadata"]) ? manifest["metadata"] : {};
  const {
    [lastAppliedAnnotation]: _ours,
    [kubectlAnnotation]: _kubectls,
    ...annotations
  } = textsOf(metadata["annotations"]);
  return { labels: textsOf(metadata["labels"]), annotations };
}

/** What an object has after a manifest with `given` was applied to it. */
export function mergeApplied(
  stored: Pick<ResourceMetadata, "labels" | "annotations"> | undefined,
  given: LabelsAndAnnotations,
): LabelsAndAnnotations {
  const { [lastAppliedAnnotation]: note, ...annotations } = stored?.annotations ?? {};
  const before = parseNote(note);
  const names = { labels: sortedNames(given.labels), annotations: sortedNames(given.annotations) };
  const hasNames = names.labels.length > 0 || names.annotations.length > 0;
  return {
    labels: { ...without(stored?.labels ?? {}, before.labels), ...given.labels },
    annotations: {
      ...without(annotations, before.annotations),
      ...given.annotations,
      ...(hasNames ? { [lastAppliedAnnotation]: JSON.stringify(names) } : {}),
    },
  };
}

interface AppliedNames {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

/** Nothing where the annotation is missing or was changed by hand: then nothing is taken away. */
function parseNote(text: string | undefined): AppliedNames {
  const note = text === undefined ? undefined : parseJson(text);
  const names = (field: string): readonly string[] => {
    const list = isRecord(note) ? note[field] : undefined;
    return Array.isArray(list) ? list.filter((name: unknown) => typeof name === "string") : [];
  };
  return { labels: names("labels"), annotations: names("annotations") };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function textsOf(value: unknown): Texts {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

const sortedNames = (texts: Texts): readonly string[] => Object.keys(texts).toSorted();

function without(texts: Texts, names: readonly string[]): Texts {
  const gone = new Set(names);
  return Object.fromEntries(Object.entries(texts).filter(([name]) => !gone.has(name)));
}
