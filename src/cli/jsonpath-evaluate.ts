import type { FilterSide, JsonPath, PathFilter, PathStep, PathPick, TemplatePart } from "./jsonpath.ts";

/** Fills a template. What is not there is nothing: a path to it gives no text. */
export function fillTemplate(parts: readonly TemplatePart[], value: unknown): string {
  return fill(parts, { top: value, here: value });
}

/** All values that a path leads to, from the top of `value`. */
export function valuesAt(path: JsonPath, value: unknown): readonly unknown[] {
  return follow(path, { top: value, here: value });
}

interface Position {
  readonly top: unknown;
  /** The object, or within a range or filter its item. */
  readonly here: unknown;
}

function fill(parts: readonly TemplatePart[], position: Position): string {
  return parts
    .map((part) => {
      switch (part.kind) {
        case "text":
          return part.text;
        case "path":
          return follow(part.path, position).map(asText).join(" ");
        case "range":
          return follow(part.path, position)
            .map((item) => fill(part.body, { ...position, here: item }))
            .join("");
      }
    })
    .join("");
}

function follow({ isFromTop, steps }: JsonPath, position: Position): readonly unknown[] {
  let values: readonly unknown[] = [isFromTop ? position.top : position.here];
  for (const step of steps) values = values.flatMap((value) => take(step, value, position.top));
  return values;
}

function take(step: PathStep, value: unknown, top: unknown): readonly unknown[] {
  switch (step.kind) {
    case "field":
      return fieldOf(value, step.name);
    case "all":
      return childrenOf(value);
    case "descend":
      return [value, ...childrenOf(value).flatMap((child) => take(step, child, top))];
    case "pick":
      return step.picks.flatMap((pick) => pickFrom(value, pick));
    case "filter":
      return childrenOf(value).filter((item) => passes(step.filter, { top, here: item }));
  }
}

function fieldOf(value: unknown, name: string): readonly unknown[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.hasOwn(value, name) ? [(value as Readonly<Record<string, unknown>>)[name]] : [];
}

function childrenOf(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}

function pickFrom(value: unknown, pick: PathPick): readonly unknown[] {
  if (pick.kind === "name") return fieldOf(value, pick.name);
  if (!Array.isArray(value)) return [];
  if (pick.kind === "slice") {
    return value.slice(pick.from, pick.to).filter((_item, index) => index % pick.step === 0);
  }
  const index = pick.index < 0 ? value.length + pick.index : pick.index;
  return index in value ? [value[index]] : [];
}

function passes({ left, comparison }: PathFilter, position: Position): boolean {
  const found = sideOf(left, position);
  if (comparison === undefined) return found.length > 0;
  const [a] = found;
  const [b] = sideOf(comparison.right, position);
  switch (comparison.operator) {
    case "==":
      return a !== undefined && a === b;
    case "!=":
      return a !== b;
    case "<":
      return compare(a, b) < 0;
    case "<=":
      return compare(a, b) <= 0;
    case ">":
      return compare(a, b) > 0;
    case ">=":
      return compare(a, b) >= 0;
  }
}

function sideOf(side: FilterSide, position: Position): readonly unknown[] {
  return side.kind === "value" ? [side.value] : follow(side.path, position);
}

/** Of two numbers or two texts; NaN, which is neither more nor less, of anything else. */
function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return Number.NaN;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
