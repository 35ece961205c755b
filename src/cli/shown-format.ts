import { EngineError } from "../common/errors.ts";
import { parseTemplate, type JsonPath, type TemplatePart } from "./jsonpath.ts";

/** In which form objects are shown. */
export type ShownFormat =
  | { readonly kind: "table"; readonly isWide: boolean }
  | { readonly kind: "yaml" | "json" | "name" }
  | { readonly kind: "template"; readonly parts: readonly TemplatePart[] };

/** Reads `-o`. Throws `usage`. */
export function parseShownFormat(text: string | undefined): ShownFormat {
  if (text === undefined) return { kind: "table", isWide: false };
  if (text === "wide") return { kind: "table", isWide: true };
  if (text === "yaml" || text === "json" || text === "name") return { kind: text };
  const template = /^jsonpath=(.*)$/s.exec(text)?.[1];
  if (template !== undefined) return { kind: "template", parts: parseTemplate(template) };
  throw new EngineError("usage", `"${text}" is not an output format`, {
    hint: "Use -o wide, yaml, json, name or jsonpath='{.status.phase}'.",
  });
}

/** Reads `--sort-by`: a path, with braces or without. Throws `usage`. */
export function parseSortPath(text: string): JsonPath {
  const [part, ...more] = parseTemplate(text.includes("{") ? text : `{${text}}`);
  if (part?.kind === "path" && more.length === 0) return part.path;
  throw new EngineError("usage", `"${text}" is not a path to sort by`, {
    hint: "Write --sort-by=.status.stoppedAt, for example.",
  });
}
