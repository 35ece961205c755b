import { expect, test } from "vitest";
import { parseManifests } from "../parse.ts";
import { applyFixes } from "./apply-fixes.ts";
import type { Edit } from "./rule.ts";

/** The text after these edits of its only object of kind Secret. */
function edit(text: string, ...edits: readonly Edit[]): string {
  const { documents, objects } = parseManifests([{ path: "a.yaml", text }]);
  const fixes = objects
    .filter(({ kind }) => kind === "Secret")
    .map((object) => ({ title: "fix", edits: edits.map((one) => ({ ...one, object })) }));
  return applyFixes(documents, fixes)[0]?.text ?? text;
}

const head = "apiVersion: v1\nkind: Secret\n";
const set = (value: string): Edit => ({ kind: "set", path: ["spec", "a"], value });

test.each([
  [
    "double quotes",
    `${head}spec:   {a: "x" , b:  1}   # why\n`,
    `${head}spec:   {a: "new" , b:  1}   # why\n`,
  ],
  [
    "single quotes",
    `${head}spec:\n    a:   'x'\n\n\n    b: [1,2]\n`,
    `${head}spec:\n    a:   'new'\n\n\n    b: [1,2]\n`,
  ],
  ["plain", `${head}spec:\r\n  a: x\r\n`, `${head}spec:\r\n  a: new\r\n`],
])("another value leaves everything else as it is, byte for byte: %s", (_name, text, expected) => {
  expect(edit(text, set("new"))).toBe(expected);
});

test("values that could be read as something else get quotes", () => {
  expect(edit(`${head}spec: {a: x}\n`, set("0 0 3 * * *"))).toBe(`${head}spec: {a: "0 0 3 * * *"}\n`);
});

test("documents without a fix stay byte for byte, readable or not", () => {
  const other = "# one\n---\na: [\n---\napiVersion: v1\nkind:   ConfigMap\n\n\nmetadata: {name: x}\n---\n";

  expect(edit(`${other}${head}spec: {b: 1}\n`, set("new"))).toBe(`${other}${head}spec: {b: 1, a: new}\n`);
});

test("comments go with the field that moves, and stay for what follows one that goes", () => {
  const text = `${head}spec:
  b:
    # about a
    a: x
  # about c
  c: 1
  d: 2
`;

  expect(edit(text, { kind: "move", from: ["spec", "b", "a"], to: ["spec", "e"] })).toBe(`${head}spec:
  # about c
  c: 1
  d: 2
  # about a
  e: x
`);
  expect(edit(text, { kind: "remove", path: ["spec", "c"] })).toContain("# about c\n  d: 2");
});

test("lists keep kubectl's indentation, and lines their ends", () => {
  const text = `${head}spec:\n  list:\n  - a: 1\n  - a: 2\n`.replaceAll("\n", "\r\n");

  expect(edit(text, set("new"))).toBe(`${text}  a: new\r\n`);
});

test("JSON stays JSON", () => {
  const text = '{\n    "apiVersion": "v1",\n    "kind": "Secret",\n    "spec": {"b": 1}\n}\n';

  expect(JSON.parse(edit(text, set("new")))).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    spec: { b: 1, a: "new" },
  });
});

test("nothing is changed through an alias: it stands for other places too", () => {
  const text = `${head}base: &base {a: x}\nspec: *base\n`;

  expect(edit(text, set("new"))).toBe(text);
});
