import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { fillTemplate } from "./jsonpath-evaluate.ts";
import { parseTemplate } from "./jsonpath.ts";

const value = {
  kind: "List",
  items: [
    {
      metadata: { name: "a", labels: { "app.kubernetes.io/name": "web", "with space": "yes" } },
      status: {
        phase: "completed",
        size: 3,
        conditions: [
          { type: "Ready", status: "True" },
          { type: "LastBackupSucceeded", status: "False" },
        ],
      },
    },
    { metadata: { name: "b" }, status: { phase: "failed", size: 5, isBig: true, none: null } },
    { metadata: { name: "c" } },
  ],
};

const fill = (template: string): string => fillTemplate(parseTemplate(template), value);

function outcomeOf(template: string): string {
  try {
    return typeof fill(template) === "string" ? "understood or refused" : "no text";
  } catch (error) {
    return isEngineError(error, "usage") ? "understood or refused" : String(error);
  }
}

describe("templates", () => {
  test.each([
    ["{.kind}", "List"],
    ["{$.kind}", "List"],
    ["{@.kind}", "List"],
    ["kind: {.kind}!", "kind: List!"],
    ["{ .kind }", "List"],
    ["{.nothing.at.all}", ""],
    ["{.items[0].metadata.name}", "a"],
    ["{.items[-1].metadata.name}", "c"],
    ["{.items[7].metadata.name}", ""],
    ["{.items[*].metadata.name}", "a b c"],
    ["{.items.*.metadata.name}", "a b c"],
    ["{.items[0:2].metadata.name}", "a b"],
    ["{.items[1:].metadata.name}", "b c"],
    ["{.items[:-1].metadata.name}", "a b"],
    ["{.items[::2].metadata.name}", "a c"],
    ["{.items[0,2].metadata.name}", "a c"],
    ["{.items[0]['metadata']['name']}", "a"],
    ['{.items[0]["metadata","status"].name}', "a"],
    ["{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "web"],
    ["{.items[0].metadata.labels['app.kubernetes.io/name']}", "web"],
    ["{.items[0].metadata.labels['with space']}", "yes"],
    ["{..name}", "a b c"],
    ["{.items[1].status}", '{"phase":"failed","size":5,"isBig":true,"none":null}'],
    ["{.items[1].status.isBig} {.items[1].status.size} {.items[1].status.none}", "true 5 null"],
    ['{range .items[*]}{.metadata.name}={.status.phase}{"\\n"}{end}', "a=completed\nb=failed\nc=\n"],
    ["{range .items[*]}{$.kind}/{@.metadata.name},{end}.", "List/a,List/b,List/c,."],
    ["{range .items[0:1]}{range .status.conditions[*]}[{.type}]{end}{end}", "[Ready][LastBackupSucceeded]"],
    ['{.items[0].status.conditions[?(@.type=="Ready")].status}', "True"],
    ["{.items[?(@.status.size>3)].metadata.name}", "b"],
    ["{.items[?(@.status.size<=3)].metadata.name}", "a"],
    ["{.items[?(@.status.isBig==true)].metadata.name}", "b"],
    ["{.items[?(@.status)].metadata.name}", "a b"],
    ["{.items[?(@.status.phase!='failed')].metadata.name}", "a c"],
    ["", ""],
    ["plain text", "plain text"],
  ])("%s", (template, expected) => {
    expect(fill(template)).toBe(expected);
  });

  test("the object itself", () => {
    expect(fillTemplate(parseTemplate("{.}"), { a: [1] })).toBe('{"a":[1]}');
    expect(fillTemplate(parseTemplate("{@}"), "text")).toBe("text");
  });

  test.each([
    [".metadata.name", 'jsonpath ".metadata.name" has no braces'],
    ["{.a", 'jsonpath "{.a": a closing brace is expected, at character 4'],
    ["{.a b}", 'jsonpath "{.a b}": a closing brace is expected, at character 5'],
    ["{'it''s'}", "a closing brace is expected"],
    ["{}", 'jsonpath "{}": a path such as .metadata.name is expected, at character 2'],
    ["{name}", 'jsonpath "{name}": a path such as .metadata.name is expected, at character 2'],
    [
      "{.items[x]}",
      'jsonpath "{.items[x]}": an index, a slice, * or a quoted name is expected, at character 9',
    ],
    ["{.items[0}", 'jsonpath "{.items[0}": "]" is expected, at character 10'],
    ["{.items[::0]}", "a slice's step must not be 0"],
    ["{range .items[*]}{.a}", "the {range} has no {end}"],
    ["{.a}{end}", "there is an {end} without a {range}"],
    ['{.items[?(@.a=="b" && @.c)]}', '")]" is expected: a filter is one comparison'],
  ])("%s is refused, and where", (template, message) => {
    expect(() => parseTemplate(template)).toThrow(message);
  });

  test("whatever is written is either understood or refused", () => {
    const words = "{ } . .. [ ] * a 0 : , ' \" \\ ?( ) @ $ == range end x".split(" ");
    const pieces = fc.constantFrom(" ", ...words);
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (chosen) => {
        expect(outcomeOf(chosen.join(""))).toBe("understood or refused");
      }),
      { numRuns: 2000 },
    );
  });
});
