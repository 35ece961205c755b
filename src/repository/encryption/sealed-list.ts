import { compareKeys } from "../../storage/object-key.ts";
import type { ListEntry, ObjectInfo, ObjectStore } from "../../storage/object-store.ts";
import { inPlainOrder, nameOfEntry, plainKey } from "./sealed-names.ts";

type ListOptions = NonNullable<Parameters<ObjectStore["list"]>[1]>;

/** Lists the encrypted objects of a store by their plain names, with the facts that `plainInfo` makes of theirs. */
export async function* listSealed(
  store: ObjectStore,
  prefix: string,
  options: ListOptions,
  plainInfo: (info: ObjectInfo) => ObjectInfo,
): AsyncGenerator<ListEntry> {
  for await (const entry of inPlainOrder(plainEntries(store, prefix, options, plainInfo), prefix)) {
    if (await isBehind(store, entry, options, plainInfo)) yield entry;
  }
}

async function* plainEntries(
  store: ObjectStore,
  prefix: string,
  options: ListOptions,
  plainInfo: (info: ObjectInfo) => ObjectInfo,
): AsyncGenerator<{ readonly stored: string; readonly entry: ListEntry }> {
  for await (const entry of store.list(prefix, options)) {
    if (entry.kind === "prefix") {
      yield { stored: entry.prefix, entry };
      continue;
    }
    const key = plainKey(entry.key);
    // "x.age" begins with "x.a" as it is stored, and does not as it is called.
    if (key === undefined || !key.startsWith(prefix)) continue;
    yield { stored: entry.key, entry: { kind: "object", ...plainInfo(entry) } };
  }
}

/** Whether an entry lies behind `startAfter`, by its plain name: with its suffix, the key itself does too. */
async function isBehind(
  store: ObjectStore,
  entry: ListEntry,
  options: ListOptions,
  plainInfo: (info: ObjectInfo) => ObjectInfo,
): Promise<boolean> {
  const { startAfter, delimiter: _delimiter, ...rest } = options;
  if (startAfter === undefined) return true;
  const name = nameOfEntry(entry);
  if (entry.kind === "object" || !startAfter.startsWith(name)) return compareKeys(name, startAfter) > 0;
  for await (const _inside of listSealed(store, name, { ...rest, startAfter }, plainInfo)) return true;
  return false;
}
