/** Lists of stores that order by UTF-16, in the order of the port. */
import { compareKeys } from "./object-key.ts";
import type { ListEntry } from "./object-store.ts";

/** The key of an object, or the prefix. */
export function nameOfEntry(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

/**
 * The same entries by the UTF-8 bytes of their names, if the store orders them by UTF-8 or by UTF-16 code units. The two
 * differ only between names that are the same up to a code unit of D800 or above (a surrogate, or U+E000 to U+FFFF).
 * In both orders such names follow each other, so only each run of them is held back and sorted.
 */
export async function* inKeyOrder(entries: AsyncIterable<ListEntry>): AsyncGenerator<ListEntry> {
  let run: ListEntry[] = [];
  let stemOfRun: string | undefined;
  for await (const entry of entries) {
    const stem = stemOf(nameOfEntry(entry));
    if (stem === undefined || stem !== stemOfRun) {
      yield* sorted(run);
      run = [];
    }
    stemOfRun = stem;
    if (stem === undefined) yield entry;
    else run.push(entry);
  }
  yield* sorted(run);
}

/** What comes before the first code unit that the two orders place differently; undefined without one. */
function stemOf(name: string): string | undefined {
  const at = name.search(/[\ud800-\uffff]/);
  return at < 0 ? undefined : name.slice(0, at);
}

function sorted(run: readonly ListEntry[]): readonly ListEntry[] {
  return run.toSorted((a, b) => compareKeys(nameOfEntry(a), nameOfEntry(b)));
}
