import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonFields, jsonProperty } from "./json-property.ts";

const bytes = (text: string) => Buffer.from(text);
const item = JSON.stringify({
  login: { username: "shop", password: "pa.ss" },
  fields: [{ name: "id", value: "42" }, { value: null }],
  "a.b": "whole",
  port: 5432,
  tags: ["x"],
});

describe("a part by its path", () => {
  test.each([
    ["login.username", "shop"],
    ["fields.0.value", "42"],
    ["fields.1.value", ""],
    ["a.b", "whole"],
    [String.raw`a\.b`, "whole"],
    ["port", "5432"],
    ["login", '{"username":"shop","password":"pa.ss"}'],
    ["tags", '["x"]'],
  ])("%s", (path, expected) => {
    expect(Buffer.from(jsonProperty(bytes(item), path) as Uint8Array).toString()).toBe(expected);
  });

  test.each(["login.passwort", "fields.2", "fields.x", "port.x", "toString", "login.__proto__"])(
    "%s is not there",
    (path) => {
      expect(jsonProperty(bytes(item), path)).toBe("absent");
    },
  );
});

test("what is no JSON is said so, without a word of it", () => {
  expect(jsonProperty(bytes("hunter2"), "a")).toBe("no-json");
  expect(jsonFields(bytes("hunter2"))).toBeUndefined();
  expect(jsonFields(bytes('["a"]'))).toBeUndefined();
  expect(jsonFields(bytes("5"))).toBeUndefined();
});

test("numbers keep the digits that they were written with", () => {
  const fields = jsonFields(bytes('{"id": 12345678901234567890, "pin": 1.10, "inner": {"n": 1e400}}'));

  expect([...(fields ?? [])].map(([name, value]) => [name, Buffer.from(value).toString()])).toEqual([
    ["id", "12345678901234567890"],
    ["pin", "1.10"],
    ["inner", '{"n":1e400}'],
  ]);
});

test("any text comes out of a field as it went in", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary", minLength: 1 }), (value, name) => {
      fc.pre(name !== "__proto__");
      const document = bytes(JSON.stringify({ [name]: value }));
      // Lone surrogates are no text in UTF-8.
      const expected = Buffer.from(value);
      expect(Buffer.from(jsonFields(document)?.get(name) ?? [])).toEqual(expected);
      expect(Buffer.from(jsonProperty(document, name) as Uint8Array)).toEqual(expected);
    }),
  );
});
