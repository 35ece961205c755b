/**
 * The few forms of Python literals that `backup.info` uses (`ast.literal_eval` grammar: strings, numbers, None, True,
 * False, tuples, lists, dicts). Source: what Barman writes and reads; see docs/format.md.
 */
export type PythonValue =
  | string
  | number
  | boolean
  | null
  | readonly PythonValue[]
  | { readonly [key: string]: PythonValue };

/** Returns undefined when the text is not a literal of this grammar. */
export function parsePythonLiteral(text: string): PythonValue | undefined {
  try {
    const reader = new LiteralReader(text);
    const value = reader.value();
    return reader.atEnd() ? value : undefined;
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

/** Quotes as Python's `repr` does for a str: `'`, or `"` when the text has `'` and no `"`. */
export function formatPythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const char of text) {
    if (char === quote || char === "\\") out += `\\${char}`;
    else if (char === "\n") out += "\\n";
    else if (char === "\r") out += "\\r";
    else if (char === "\t") out += "\\t";
    else if (char < " " || char === "\u007f") out += `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
    else out += char;
  }
  return `${quote}${out}${quote}`;
}

class NotALiteral extends Error {}

const maxDepth = 16;
const simpleEscapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
  "\n": "",
};
const words: Readonly<Record<string, null | boolean>> = { None: null, True: true, False: false };

class LiteralReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    this.#skipSpace();
    return this.#at === this.#text.length;
  }

  value(): PythonValue {
    this.#skipSpace();
    const char = this.#text[this.#at] ?? "";
    if (char === "'" || char === '"') return this.#string(char);
    if (char === "(") return this.#sequence("(", ")");
    if (char === "[") return this.#sequence("[", "]");
    if (char === "{") return this.#dict();
    return this.#atom();
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #take(char: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #enter(): void {
    if (++this.#depth > maxDepth) throw new NotALiteral();
  }

  #atom(): PythonValue {
    const match = /^[-+]?[\w.]+(?:(?<=[eE])[-+]?\d+)?/.exec(this.#text.slice(this.#at, this.#at + 64));
    if (!match) throw new NotALiteral();
    this.#at += match[0].length;
    const word = words[match[0]];
    if (word !== undefined) return word;
    const number = Number(match[0]);
    if (Number.isNaN(number)) throw new NotALiteral();
    return number;
  }

  #sequence(open: string, close: string): readonly PythonValue[] {
    this.#enter();
    this.#take(open);
    const items: PythonValue[] = [];
    while (!this.#take(close)) {
      items.push(this.value());
      if (!this.#take(",")) {
        if (!this.#take(close)) throw new NotALiteral();
        break;
      }
    }
    this.#depth--;
    return items;
  }

  #dict(): { readonly [key: string]: PythonValue } {
    this.#enter();
    this.#take("{");
    const entries: [string, PythonValue][] = [];
    while (!this.#take("}")) {
      const key = this.value();
      if (typeof key !== "string" && typeof key !== "number") throw new NotALiteral();
      if (!this.#take(":")) throw new NotALiteral();
      entries.push([String(key), this.value()]);
      if (!this.#take(",")) {
        if (!this.#take("}")) throw new NotALiteral();
        break;
      }
    }
    this.#depth--;
    return Object.fromEntries(entries);
  }

  #string(quote: string): string {
    this.#at++;
    let out = "";
    for (;;) {
      const char = this.#text[this.#at++];
      if (char === undefined) throw new NotALiteral();
      if (char === quote) return out;
      out += char === "\\" ? this.#escape() : char;
    }
  }

  #escape(): string {
    const char = this.#text[this.#at++] ?? "";
    const simple = simpleEscapes[char];
    if (simple !== undefined) return simple;
    const digits = { x: 2, u: 4, U: 8 }[char];
    if (digits === undefined) return `\\${char}`;
    const hex = this.#text.slice(this.#at, this.#at + digits);
    if (hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex)) throw new NotALiteral();
    this.#at += digits;
    const code = Number.parseInt(hex, 16);
    if (code > 0x10_ffff) throw new NotALiteral();
    return String.fromCodePoint(code);
  }
}
