import { expect, test } from "vitest";
import { formatPath, objectTitle, positionOf } from "./manifest-object.ts";
import { parseManifests } from "./parse.ts";

const parse = (text: string) => parseManifests([{ path: "a.yaml", text }]);
const titles = (text: string) => parse(text).objects.map(objectTitle);

test("several documents, empty ones, comments only, JSON and lists", () => {
  expect(
    titles("# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n---\n# nothing\n"),
  ).toEqual(["Secret a"]);
  expect(
    titles('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "n"}}'),
  ).toEqual(["Secret n/a"]);
  const list = `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Secret
    metadata: {name: a}
  - apiVersion: v1
    kind: SecretList
    items:
      - apiVersion: v1
        kind: Secret
        metadata: {name: b}
`;
  expect(titles(list)).toEqual(["Secret a", "Secret b"]);
  const [, inner] = parse(list).objects;
  expect(inner && positionOf(inner, ["metadata", "name"])).toEqual({ line: 12, column: 20 });
  expect(inner && positionOf(inner, ["spec", "nowhere"])).toEqual({ line: 10, column: 9 });
});

test("what is no manifest is a problem with its place, and the rest is still read", () => {
  const { objects, problems } = parse(
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\nkind: Secret\n---\n- 1\n---\na: [\n---\napiVersion: v1\nkind: Secret\n",
  );

  expect(objects.map(objectTitle)).toEqual(["Secret a", "Secret (without a name)"]);
  expect(problems.map(({ position, message }) => `${position.line}: ${message}`)).toEqual([
    "5: not a Kubernetes object: apiVersion is missing",
    "7: not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected",
    expect.stringMatching(/^(9|10): /),
  ]);
});

test("a key that is there twice is a problem, not a choice", () => {
  expect(parse("apiVersion: v1\nkind: Secret\nkind: Cluster\n").problems).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/unique/) }),
  ]);
});

test("paths read like those of kubectl", () => {
  expect(formatPath(["spec", "plugins", 0, "parameters", "serverName"])).toBe(
    "spec.plugins[0].parameters.serverName",
  );
  expect(formatPath(["metadata", "annotations", "tidemark.dev/x"])).toBe(
    'metadata.annotations["tidemark.dev/x"]',
  );
});

test("documents of comments only are no problem, as Helm writes them; their text is kept", () => {
  const text = "---\n# Source: a.yaml\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n";
  const { objects, problems, documents } = parse(text);

  expect([objects.length, problems]).toEqual([1, []]);
  expect(documents.map((document) => document.text).join("")).toBe(text);
});

test("YAML is kubectl's: merge keys, and yes and on are booleans", () => {
  const [object] = parse(
    "apiVersion: v1\nkind: Secret\nmetadata: &m {name: a}\na: {<<: *m, on: 'x'}\nb: [yes, on, No, 'yes', yesterday]\n",
  ).objects;

  expect(object?.value["a"]).toEqual({ name: "a", true: "x" });
  expect(object?.value["b"]).toEqual([true, true, false, "yes", "yesterday"]);
});

test.each([
  ["an alias to nothing", "a: *nope\n", /nope/],
  ["an alias that contains itself", "a: &a {b: *a}\n", /contains itself/],
  [
    "a bomb of aliases",
    `a: &a [1,1,1,1,1,1,1,1,1]\n${["b a", "c b", "d c", "e d", "f e", "g f"]
      .map((pair) => pair.split(" "))
      .map(([name, of]) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(",")}]\n`)
      .join("")}`,
    /alias/i,
  ],
])("%s is a problem, and no crash", (_name, text, message) => {
  const { objects, problems } = parse(`apiVersion: v1\nkind: Secret\n${text}`);

  expect(objects).toEqual([]);
  expect(problems).toEqual([expect.objectContaining({ message: expect.stringMatching(message) })]);
});

test("what is said of a text that cannot be read holds nothing of it", () => {
  const head = "apiVersion: v1\nkind: Secret\nstringData:\n";
  for (const rest of [
    "  a: b\n hunter2\n",
    '  a: "hunter2\n',
    "  a: %hunter2\n",
    "  a: 'x' hunter2\n",
    "}hunter2\n",
  ]) {
    const { problems } = parse(head + rest);

    expect(problems.length).toBeGreaterThan(0);
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  }
});
