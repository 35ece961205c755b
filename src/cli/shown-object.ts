/** An object as the API answers it: nothing of its form is taken for granted. */
export type ShownObject = Readonly<Record<string, unknown>>;

/** The value at `status.conditions`, say; undefined where there is nothing. */
export function fieldAt(object: unknown, path: string): unknown {
  let at = object;
  for (const step of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[step];
  }
  return at;
}

/** The same as text; empty where there is nothing. */
export function textOf(object: unknown, path: string): string {
  const value = fieldAt(object, path);
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : `${value as string | number | boolean}`;
}

export function recordOf(object: unknown, path: string): ShownObject {
  const value = fieldAt(object, path);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as ShownObject) : {};
}

export function listOf(object: unknown, path: string): readonly unknown[] {
  const value = fieldAt(object, path);
  return Array.isArray(value) ? value : [];
}
