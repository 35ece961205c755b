import { compareKeys } from "../../storage/object-key.ts";
import type { ListEntry } from "../../storage/object-store.ts";

/** What is behind the key of an encrypted object: the file's name says how to read it. */
export const sealedSuffix = ".age";

export const sealedKey = (key: string): string => `${key}${sealedSuffix}`;

/** The key without its suffix; undefined for an object that is not encrypted. */
export function plainKey(stored: string): string | undefined {
  return stored.endsWith(sealedSuffix) && stored.length > sealedSuffix.length
    ? stored.slice(0, -sealedSuffix.length)
    : undefined;
}

export function nameOfEntry(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

/**
 * Brings the entries of a listing into the order of their plain names. With the suffix, a key comes behind those that go on
 * where it ends with something smaller (`a-1.age` before `a.age`), so those are held back until it cannot come any more.
 * `prefix` is that of the listing: nothing shorter can come.
 */
export async function* inPlainOrder(
  entries: AsyncIterable<{ readonly stored: string; readonly entry: ListEntry }>,
  prefix: string,
): AsyncGenerator<ListEntry> {
  let held: { readonly until: string | undefined; readonly entry: ListEntry }[] = [];
  for await (const { stored, entry } of entries) {
    const firstKept = held.findIndex(({ until }) => until !== undefined && compareKeys(until, stored) >= 0);
    const free = firstKept === -1 ? held : held.slice(0, firstKept);
    for (const { entry } of free) yield entry;
    held = held.slice(free.length);
    held.push({ until: lastSmaller(nameOfEntry(entry), prefix), entry });
    held.sort((one, other) => compareKeys(nameOfEntry(one.entry), nameOfEntry(other.entry)));
  }
  for (const { entry } of held) yield entry;
}

/** The last stored key of those that come before `name` without the suffix and behind it with; undefined when there is none. */
function lastSmaller(name: string, prefix: string): string | undefined {
  let last: string | undefined;
  for (let length = Math.max(prefix.length, 1); length < name.length; length++) {
    if (compareKeys(name.slice(length), sealedSuffix) >= 0) continue;
    const stored = sealedKey(name.slice(0, length));
    if (last === undefined || compareKeys(stored, last) > 0) last = stored;
  }
  return last;
}
