import fc from "fast-check";
import { expect, test } from "vitest";
import { inKeyOrder, nameOfEntry } from "./listing-order.ts";
import { compareKeys } from "./object-key.ts";
import type { ListEntry } from "./object-store.ts";

async function reordered(names: readonly string[]): Promise<string[]> {
  const entries = (async function* (): AsyncGenerator<ListEntry> {
    for (const prefix of names) yield { kind: "prefix", prefix };
  })();
  return Array.fromAsync(inKeyOrder(entries), nameOfEntry);
}

const byUtf16 = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

test("names that the two orders place differently are put right, wherever they are", async () => {
  const names = ["a", "a\u{1f418}x", "a\u{1f418}y", "a\uffee", "b/\u{1f418}", "b/\ue000/c", "c"];

  expect(await reordered(names.toSorted(byUtf16))).toEqual([
    "a",
    "a\uffee",
    "a\u{1f418}x",
    "a\u{1f418}y",
    "b/\ue000/c",
    "b/\u{1f418}",
    "c",
  ]);
});

test("a list by UTF-16 and one by UTF-8 both come out by UTF-8, and nothing is lost", async () => {
  const unit = fc.constantFrom("a", "b", "/", "\ud7ff", "\ue000", "\uffee", "\u{10000}", "\u{1f418}");
  const anyNames = fc.uniqueArray(fc.string({ unit, maxLength: 4 }), { maxLength: 30 });

  await fc.assert(
    fc.asyncProperty(anyNames, async (names) => {
      const wanted = names.toSorted(compareKeys);
      expect(await reordered(names.toSorted(byUtf16))).toEqual(wanted);
      expect(await reordered(wanted)).toEqual(wanted);
    }),
  );
});

test("a list in no order at all stays so, for whoever checks it", async () => {
  expect(await reordered(["b", "a", "c"])).toEqual(["b", "a", "c"]);
});
