/**
 * Secrets that are JSON. Errors of Node's parser quote what they stumbled over, which is a secret here, so nothing of them
 * is passed on. Numbers keep the digits that they were written with: 12345678901234567890 and 1.10 are texts to whoever
 * uses them as a password.
 */

/** TypeScript's library does not know these of ECMAScript yet. */
interface ExactJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): object;
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
}

const exact = JSON as unknown as ExactJson;

/** Undefined for what is no JSON. */
function parseExactly(text: string): { readonly value: unknown } | undefined {
  try {
    return {
      value: exact.parse(text, (_key, value, { source }) =>
        typeof value === "number" && source !== undefined ? exact.rawJSON(source) : value,
      ),
    };
  } catch {
    return undefined;
  }
}

/** The text of a value for whoever wants bytes: texts as they are, nothing for null, everything else as JSON. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === null ? "" : JSON.stringify(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !exact.isRawJSON(value);
}

/** The fields of a JSON object, each as bytes; undefined when it is none. */
export function jsonFields(secret: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined {
  const parsed = parseExactly(Buffer.from(secret).toString());
  if (parsed === undefined || !isObject(parsed.value)) return undefined;
  return new Map(Object.entries(parsed.value).map(([name, value]) => [name, Buffer.from(textOf(value))]));
}

/**
 * A part of a JSON document by its path: `login.password`, `fields.0.value`; a dot in a name is written `\.`, and a field
 * that is called as the whole path comes first. `absent` when there is no such part, `no-json` when it is no document.
 */
export function jsonProperty(secret: Uint8Array, path: string): Uint8Array | "absent" | "no-json" {
  const parsed = parseExactly(Buffer.from(secret).toString());
  if (parsed === undefined) return "no-json";
  if (isObject(parsed.value) && Object.hasOwn(parsed.value, path)) {
    return Buffer.from(textOf(parsed.value[path]));
  }
  let at = parsed.value;
  for (const step of stepsOf(path)) {
    if (Array.isArray(at) && /^\d+$/.test(step) && Number(step) < at.length) at = at[Number(step)];
    else if (isObject(at) && Object.hasOwn(at, step)) at = at[step];
    else return "absent";
  }
  return Buffer.from(textOf(at));
}

function stepsOf(path: string): readonly string[] {
  return [...path.matchAll(/(?:\\.|[^.\\])+/gs)].map(([step]) => step.replaceAll(/\\(.)/gs, "$1"));
}
