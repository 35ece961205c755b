/** Between two columns, as kubectl has it. */
const gap = "   ";

/**
 * A table whose rows may go on coming: the title line is given once, and later rows are set to the columns of the first
 * ones, wider only where they must.
 */
export class GrowingTable {
  readonly #titles: readonly string[];
  #widths: readonly number[] | undefined;

  constructor(titles: readonly string[]) {
    this.#titles = titles;
  }

  /** The text of these rows, before the first ones with the titles; empty for none. */
  render(rows: readonly (readonly string[])[]): string {
    if (rows.length === 0) return "";
    const isFirst = this.#widths === undefined;
    const measured = isFirst ? [this.#titles, ...rows] : rows;
    const before = this.#widths ?? [];
    this.#widths = this.#titles.map((_title, index) =>
      Math.max(before[index] ?? 0, ...measured.map((row) => (row[index] ?? "").length)),
    );
    return measured.map((row) => `${this.#line(row)}\n`).join("");
  }

  #line(row: readonly string[]): string {
    return this.#titles
      .map((_title, index) => oneLine(row[index] ?? "").padEnd(this.#widths?.[index] ?? 0))
      .join(gap)
      .trimEnd();
  }
}

/** An error's text may have several lines, and a row has one. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, " ");
}
