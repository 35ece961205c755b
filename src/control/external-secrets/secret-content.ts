import type { Resource } from "../resources/resource.ts";
import { nothingManaged, readManagedNote } from "./managed-fields.ts";
import { renderTemplate } from "./render-template.ts";
import { notesOfRivals, writtenKeys, type SecretFacts } from "./secret-facts.ts";

type Content = Readonly<Record<string, unknown>>;

/**
 * Type and data of a target Secret. Where it merges, everything stays but what it put there before; elsewhere nothing does but
 * what other ExternalSecrets put there. Throws what rendering a template throws.
 */
export function secretContent(facts: SecretFacts): Content {
  const { external, spec, existing, values } = facts;
  const { creationPolicy = "Owner", template, immutable } = spec.target ?? {};
  const isMerged = creationPolicy === "Merge" || creationPolicy === "CreateOrMerge";
  const own = (readManagedNote(existing)[external.metadata.name] ?? nothingManaged).data;
  const others = Object.values(notesOfRivals(facts)).flatMap(({ data }) => data);
  const kept = Object.entries(dataOf(existing?.content)).filter(([key]) =>
    isMerged ? !own.includes(key) : others.includes(key),
  );
  const written = [...writtenKeys(facts)].map((key): [string, string] => {
    const text = template?.data?.[key];
    const value = text === undefined ? values.get(key) : renderTemplate(`data.${key}`, text, values);
    return [key, Buffer.from(value ?? []).toString("base64")];
  });
  const data = new Map([...kept, ...written]);
  return {
    type: template?.type ?? typeOf(existing),
    data: Object.fromEntries([...data].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    ...(immutable === true || existing?.content["immutable"] === true ? { immutable: true } : {}),
  };
}

function typeOf(secret: Resource | undefined): string {
  const type = secret?.content["type"];
  return typeof type === "string" ? type : "Opaque";
}

function dataOf(content: Content | undefined): Readonly<Record<string, unknown>> {
  const data = content?.["data"];
  return typeof data === "object" && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
}

/** Whether two contents have the same type and values. */
export function isSameContent(a: Content, b: Content): boolean {
  const [dataA, dataB] = [dataOf(a), dataOf(b)];
  const keys = new Set([...Object.keys(dataA), ...Object.keys(dataB)]);
  return a["type"] === b["type"] && [...keys].every((key) => dataA[key] === dataB[key]);
}
