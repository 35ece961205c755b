import { EngineError } from "../common/errors.ts";

/** Kubernetes' JSONPath templates (kubectl reference, "JSONPath Support"), as far as they are understood here. */

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "path"; readonly path: JsonPath }
  | { readonly kind: "range"; readonly path: JsonPath; readonly body: readonly TemplatePart[] };

export interface JsonPath {
  /** `$`: from the top, also within a range. */
  readonly isFromTop: boolean;
  readonly steps: readonly PathStep[];
}

export type PathStep =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "all" }
  /** `..`: the value and everything in it. */
  | { readonly kind: "descend" }
  | { readonly kind: "pick"; readonly picks: readonly PathPick[] }
  | { readonly kind: "filter"; readonly filter: PathFilter };

export type PathPick =
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "name"; readonly name: string }
  | {
      readonly kind: "slice";
      readonly from: number | undefined;
      readonly to: number | undefined;
      readonly step: number;
    };

export const filterOperators = ["==", "!=", "<=", ">=", "<", ">"] as const;

export interface PathFilter {
  readonly left: FilterSide;
  /** Undefined asks whether there is anything at the left side's path. */
  readonly comparison:
    | { readonly operator: (typeof filterOperators)[number]; readonly right: FilterSide }
    | undefined;
}

export type FilterSide =
  | { readonly kind: "path"; readonly path: JsonPath }
  | { readonly kind: "value"; readonly value: string | number | boolean };

/** Throws `usage`, saying where, for what is not understood. */
export function parseTemplate(template: string): readonly TemplatePart[] {
  if (!template.includes("{") && /^[.$[]/.test(template.trim())) {
    throw new EngineError("usage", `jsonpath "${template}" has no braces`, {
      hint: `Write jsonpath='{${template.trim()}}'.`,
    });
  }
  return new TemplateParser(template).parse();
}

class TemplateParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): readonly TemplatePart[] {
    const parts = this.#parts(false);
    if (this.#at < this.#text.length) throw this.#error("there is an {end} without a {range}");
    return parts;
  }

  /** Up to the end of the template, or to an `{end}`, which is left standing for the range. */
  #parts(isInRange: boolean): readonly TemplatePart[] {
    const parts: TemplatePart[] = [];
    while (this.#at < this.#text.length) {
      const literal = this.#take(/[^{]+/y);
      if (literal !== undefined) {
        parts.push({ kind: "text", text: literal });
        continue;
      }
      if (this.#looksAt(/\{\s*end\s*\}/y)) {
        return parts;
      }
      this.#expect("{");
      parts.push(this.#expression());
    }
    if (isInRange) throw this.#error("the {range} has no {end}");
    return parts;
  }

  #expression(): TemplatePart {
    this.#blanks();
    const quoted = this.#quoted();
    if (quoted !== undefined) {
      this.#close();
      return { kind: "text", text: quoted };
    }
    if (this.#take(/range(?=[\s.$@[])/y) !== undefined) {
      this.#blanks();
      const path = this.#path();
      this.#close();
      const body = this.#parts(true);
      this.#take(/\{\s*end\s*\}/y);
      return { kind: "range", path, body };
    }
    const path = this.#path();
    this.#close();
    return { kind: "path", path };
  }

  #close(): void {
    this.#blanks();
    if (this.#take(/\}/y) === undefined) throw this.#error("a closing brace is expected");
  }

  #path(): JsonPath {
    const root = this.#take(/[$@]/y);
    const steps: PathStep[] = [];
    for (let step = this.#step(); step !== undefined; step = this.#step()) steps.push(...step);
    if (root === undefined && steps.length === 0) {
      // `{.}` is the object itself.
      if (this.#take(/\./y) === undefined) throw this.#error("a path such as .metadata.name is expected");
    }
    return { isFromTop: root === "$", steps };
  }

  /** Undefined where the path is over. */
  #step(): readonly PathStep[] | undefined {
    if (this.#take(/\.\./y) !== undefined) {
      const name = this.#name();
      return name === undefined ? [{ kind: "descend" }] : [{ kind: "descend" }, name];
    }
    if (this.#looksAt(/\.(?![\s}\])]|$)/y)) {
      this.#at++;
      const name = this.#looksAt(/\[/y) ? undefined : this.#name();
      if (name !== undefined) return [name];
      if (this.#looksAt(/\[/y)) return this.#step();
      throw this.#error("a field's name is expected");
    }
    return this.#take(/\[/y) === undefined ? undefined : [this.#bracket()];
  }

  #name(): PathStep | undefined {
    if (this.#take(/\*/y) !== undefined) return { kind: "all" };
    // A backslash takes the next character as it is: app\.kubernetes\.io/name.
    const name = this.#take(/(?:\\.|[^\\.[\]{}()\s,=!<>'"$@?*])+/y);
    return name === undefined ? undefined : { kind: "field", name: name.replaceAll(/\\(.)/g, "$1") };
  }

  #bracket(): PathStep {
    this.#blanks();
    if (this.#take(/\?\(/y) !== undefined) return this.#filter();
    if (this.#take(/\*\s*\]/y) !== undefined) return { kind: "all" };
    const picks = [this.#pick()];
    for (this.#blanks(); this.#take(/,/y) !== undefined; this.#blanks()) picks.push(this.#pick());
    if (this.#take(/\]/y) === undefined) throw this.#error('"]" is expected');
    return { kind: "pick", picks };
  }

  #pick(): PathPick {
    this.#blanks();
    const name = this.#quoted();
    if (name !== undefined) return { kind: "name", name };
    const slice = this.#match(/(-?\d*)\s*:\s*(-?\d*)(?:\s*:\s*(\d*))?/y);
    if (slice !== undefined) {
      const [from, to, step] = [slice[1], slice[2], slice[3]].map((text) =>
        text === undefined || text === "" ? undefined : Number(text),
      );
      if (step === 0) throw this.#error("a slice's step must not be 0");
      return { kind: "slice", from, to, step: step ?? 1 };
    }
    const index = this.#take(/-?\d+/y);
    if (index === undefined) throw this.#error("an index, a slice, * or a quoted name is expected");
    return { kind: "index", index: Number(index) };
  }

  #filter(): PathStep {
    const left = this.#side();
    this.#blanks();
    const operator = filterOperators.find((candidate) => this.#text.startsWith(candidate, this.#at));
    let comparison: PathFilter["comparison"];
    if (operator !== undefined) {
      this.#at += operator.length;
      comparison = { operator, right: this.#side() };
    }
    this.#blanks();
    if (this.#take(/\)\s*\]/y) === undefined) {
      throw this.#error('")]" is expected: a filter is one comparison, such as ?(@.type=="Ready")');
    }
    return { kind: "filter", filter: { left, comparison } };
  }

  #side(): FilterSide {
    this.#blanks();
    const quoted = this.#quoted();
    if (quoted !== undefined) return { kind: "value", value: quoted };
    const word = this.#take(/(?:true|false|-?\d+(?:\.\d+)?)(?![\w.])/y);
    if (word === undefined) return { kind: "path", path: this.#path() };
    return { kind: "value", value: word === "true" || word === "false" ? word === "true" : Number(word) };
  }

  /** In single or double quotes, with the backslash's usual meanings. */
  #quoted(): string | undefined {
    const found = this.#match(/"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'/y);
    if (found === undefined) return undefined;
    const named: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
    return (found[1] ?? found[2] ?? "").replaceAll(
      /\\(.)/g,
      (_all, letter: string) => named[letter] ?? letter,
    );
  }

  #blanks(): void {
    this.#take(/\s+/y);
  }

  #expect(text: string): void {
    if (!this.#text.startsWith(text, this.#at)) throw this.#error(`"${text}" is expected`);
    this.#at += text.length;
  }

  #looksAt(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    return pattern.test(this.#text);
  }

  #take(pattern: RegExp): string | undefined {
    return this.#match(pattern)?.[0];
  }

  /** Goes on behind the match, which begins here. */
  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#at += found[0].length;
    return found;
  }

  #error(message: string): EngineError {
    return new EngineError("usage", `jsonpath "${this.#text}": ${message}, at character ${this.#at + 1}`, {
      hint: 'Paths are written as {.items[*].metadata.name}, {.status.conditions[?(@.type=="Ready")].status}.',
    });
  }
}
