import type { KindName } from "../control/admission/kind-names.ts";
import { GrowingTable } from "./growing-table.ts";
import { valuesAt } from "./jsonpath-evaluate.ts";
import type { JsonPath } from "./jsonpath.ts";
import { shortName } from "./kind-arguments.ts";
import { formatJson } from "./output.ts";
import { columnsOf } from "./resource-columns.ts";
import { textOf, type ShownObject } from "./shown-object.ts";

/** The objects of one kind, as they came. */
export interface KindObjects {
  readonly kind: KindName;
  readonly objects: readonly ShownObject[];
}

export interface TableOptions {
  readonly isWide: boolean;
  /** With a first column that says where. */
  readonly hasNamespaces: boolean;
  /** With the kind before the name, where there are several kinds. */
  readonly hasKinds: boolean;
}

/** Makes the lines of a kind's table; rows may go on coming. */
export function objectTable(
  kind: KindName,
  { isWide, hasNamespaces, hasKinds }: TableOptions,
): (objects: readonly ShownObject[], now: Date) => string {
  const columns = columnsOf(kind.kind, isWide);
  const isPlaced = hasNamespaces && kind.isNamespaced;
  const titles = [...(isPlaced ? ["NAMESPACE"] : []), "NAME", ...columns.map(({ title }) => title)];
  const table = new GrowingTable(titles);
  return (objects, now) =>
    table.render(
      objects.map((object) => {
        const name = textOf(object, "metadata.name");
        return [
          ...(isPlaced ? [textOf(object, "metadata.namespace")] : []),
          hasKinds ? shortName(kind.kind, name) : name,
          ...columns.map(({ cell }) => cell(object, now)),
        ];
      }),
    );
}

/** One object as it is; several as Kubernetes' List. */
export function asOne(objects: readonly ShownObject[], isSingle: boolean): unknown {
  const [only] = objects;
  if (isSingle && only !== undefined) return only;
  return { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items: objects };
}

/** The text of a value in one of the formats that are no tables. */
export async function formatObject(value: unknown, format: "yaml" | "json"): Promise<string> {
  if (format === "json") return formatJson(value);
  const { stringify } = await import("yaml");
  return stringify(value, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}

export function nameOf(object: ShownObject): string {
  return `${shortName(textOf(object, "kind"), textOf(object, "metadata.name"))}\n`;
}

/** By the value at a path, objects without one first; in the order that they had where that is the same. */
export function sortedBy(path: JsonPath, objects: readonly ShownObject[]): readonly ShownObject[] {
  const keyed = objects.map((object) => ({ object, key: valuesAt(path, object)[0] }));
  return keyed.toSorted((a, b) => compareKeys(a.key, b.key)).map(({ object }) => object);
}

function compareKeys(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [left, right] = [a, b].map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  if (left === undefined || right === undefined) return 0;
  return left < right ? -1 : left > right ? 1 : 0;
}
