import { isDeepStrictEqual } from "node:util";
import { formatPath, isRecord, type FieldPath } from "../../manifest/manifest-object.ts";
import type { Resource, ResourceDraft } from "../resources/resource.ts";
import { lastAppliedAnnotation } from "./applied-names.ts";
import type { FieldChange } from "./apply-result.ts";
import { isSecretField, redacted } from "./redact.ts";

/** Whether writing the draft would change what the object says. The order of fields says nothing. */
export function isSame(stored: Resource, draft: ResourceDraft): boolean {
  return (
    stored.apiVersion === draft.apiVersion &&
    isDeepStrictEqual({ ...stored.content }, { ...draft.content }) &&
    isDeepStrictEqual({ ...stored.metadata.labels }, { ...draft.labels }) &&
    isDeepStrictEqual({ ...stored.metadata.annotations }, { ...draft.annotations })
  );
}

/** The fields that a draft changes, by path. That a value of a Secret differs is said, and nothing else of it. */
export function changesOf(stored: Resource, draft: ResourceDraft): FieldChange[] {
  const { apiVersion, kind, content, metadata } = stored;
  const changes: FieldChange[] = [];
  compare(
    [],
    comparable(apiVersion, content, metadata),
    comparable(draft.apiVersion, draft.content, draft),
    changes,
  );
  return changes.map((change) => (isSecretField(kind, topOf(change.field)) ? redactChange(change) : change));
}

function comparable(
  apiVersion: string,
  content: Readonly<Record<string, unknown>>,
  { labels = {}, annotations = {} }: Pick<ResourceDraft, "labels" | "annotations">,
): Readonly<Record<string, unknown>> {
  const { [lastAppliedAnnotation]: _note, ...shown } = annotations;
  return { apiVersion, metadata: { labels, annotations: shown }, ...content };
}

function compare(path: FieldPath, before: unknown, after: unknown, changes: FieldChange[]): void {
  if (isDeepStrictEqual(before, after)) return;
  if (isRecord(before) && isRecord(after)) {
    const fields = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const field of fields) compare([...path, field], own(before, field), own(after, field), changes);
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let index = 0; index < length; index++)
      compare([...path, index], before[index], after[index], changes);
    return;
  }
  changes.push({
    field: formatPath(path),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  });
}

/** Fields may be called `constructor`. */
function own(record: Readonly<Record<string, unknown>>, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

const topOf = (field: string): string => /^[^.[]*/.exec(field)?.[0] ?? "";

function redactChange({ field, before, after }: FieldChange): FieldChange {
  return {
    field,
    ...(before === undefined ? {} : { before: redacted }),
    ...(after === undefined ? {} : { after: redacted }),
  };
}
