import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatPythonString, parsePythonLiteral } from "./python-literal.ts";

describe("Python literals", () => {
  it.each([
    ["None", null],
    ["True", true],
    ["12", 12],
    ["-1.5e3", -1500],
    ["1e-05", 0.00001],
    ["'a b'", "a b"],
    [`"it's"`, "it's"],
    [String.raw`'x\ny\\z\'\x41\u00e9'`, "x\ny\\z'Aé"],
    ["[('ts_a', 16384, '/ts')]", [["ts_a", 16384, "/ts"]]],
    ['[["name", 1, "/loc"]]', [["name", 1, "/loc"]]],
    ["('one',)", ["one"]],
    ["()", []],
    ["{'a': 1, 'b': {'c': None}}", { a: 1, b: { c: null } }],
  ])("reads %s", (text, value) => {
    expect(parsePythonLiteral(text)).toEqual(value);
  });

  it.each(["", "'open", "[1, 2", "(1 2)", "{1}", "foo", "__import__('os')", "1 2", "'\\x4'", "[".repeat(50)])(
    "answers undefined for %s",
    (text) => {
      expect(parsePythonLiteral(text)).toBeUndefined();
    },
  );

  it("reads back every string it writes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const literal = formatPythonString(text);
        expect(literal).not.toContain("\n");
        expect(parsePythonLiteral(literal)).toBe(text);
      }),
    );
  });
});
