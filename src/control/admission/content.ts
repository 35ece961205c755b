import { isRecord } from "../../manifest/manifest-object.ts";

/** Fields of a manifest that are no content: what names it, and what only the control plane writes. */
const notContent: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);

/**
 * What a manifest says, in the one form in which it is kept and compared: as JSON, without fields that are null (which on
 * Kubernetes means that they are not given), a Secret's `stringData` folded into its `data`.
 */
export function contentOf(
  kind: string,
  manifest: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const fields = Object.entries(manifest).filter(([field]) => !notContent.has(field));
  const content = withoutNulls(asJson(Object.fromEntries(fields)));
  if (!isRecord(content)) return {};
  return kind === "Secret" ? foldStringData(content) : content;
}

/** Numbers that JSON does not have, say, would be kept as something else than they are compared as. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

/** Items of sequences stay: taking one out would move the others. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([field, item]) => (item === null ? [] : [[field, withoutNulls(item)]])),
  );
}

/** As the API server does: `stringData` wins over `data`, and is never kept as such. */
function foldStringData(content: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { data, stringData, ...rest } = content;
  if (data === undefined && stringData === undefined) return rest;
  return { ...rest, data: { ...mapTexts(data, canonicalBase64), ...mapTexts(stringData, encodeText) } };
}

/** Values of another type are left to the schema, which refuses them. */
function mapTexts(values: unknown, map: (text: string) => string): Record<string, unknown> {
  if (!isRecord(values)) return {};
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, typeof value === "string" ? map(value) : value]),
  );
}

const encodeText = (text: string): string => Buffer.from(text, "utf8").toString("base64");

/** Line breaks within base 64 mean nothing, and would make the same value another one. */
const canonicalBase64 = (text: string): string => text.replaceAll(/[\r\n]/g, "");
