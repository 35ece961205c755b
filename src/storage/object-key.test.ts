import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkKeyPrefix, compareKeys, isObjectKey } from "./object-key.ts";

describe("the order of keys", () => {
  test("is that of their UTF-8 bytes", () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom("a", "/", "\uffee", "\ue000", "🐘"),
        fc.string({ unit: "binary", maxLength: 1 }),
      ),
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test("puts characters outside the basic plane last, as UTF-8 does and UTF-16 does not", () => {
    expect(["🐘", "\uffee"].sort()).toEqual(["🐘", "\uffee"]);
    expect(["🐘", "\uffee"].sort(compareKeys)).toEqual(["\uffee", "🐘"]);
  });
});

describe("keys and prefixes", () => {
  test("every start of a key is a prefix", () => {
    const key = fc
      .array(fc.string({ minLength: 1, maxLength: 5, unit: fc.constantFrom("a", ".", " ", "ä", "%") }), {
        minLength: 1,
      })
      .map((steps) => steps.join("/"))
      .filter(isObjectKey);
    fc.assert(
      fc.property(key, fc.nat(), (value, cut) => {
        expect(() => checkKeyPrefix(value.slice(0, cut % (value.length + 1)))).not.toThrow();
      }),
    );
  });
});
