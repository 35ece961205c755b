import { isRecord } from "../../manifest/manifest-object.ts";

/** What is shown in place of a secret value. It is no base 64, so applying what was shown is refused. */
export const redacted = "[redacted]";

/** Fields of a Secret that hold no value; of whatever else there may be only the names are shown. */
const openFields: ReadonlySet<string> = new Set([
  "apiVersion",
  "kind",
  "metadata",
  "type",
  "immutable",
  "status",
]);

/** A manifest as anybody may see it: of a Secret the names of its values remain. Others are given back as they are. */
export function redactManifest(
  manifest: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { kind } = manifest;
  if (kind !== "Secret") return manifest;
  return Object.fromEntries(
    Object.entries(manifest).map(([field, value]) => [
      field,
      isSecretField(kind, field) ? redactValues(value) : value,
    ]),
  );
}

/** Whether the value of a kind's top-level field must not be shown. */
export function isSecretField(kind: string, field: string): boolean {
  return kind === "Secret" && !openFields.has(field);
}

function redactValues(values: unknown): unknown {
  if (!isRecord(values)) return redacted;
  return Object.fromEntries(Object.keys(values).map((key) => [key, redacted]));
}
