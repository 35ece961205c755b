import { describe, expect, test } from "vitest";
import { decodeValue } from "./decoding.ts";
import { convertKeys, requireSecretKeys, rewriteKeys } from "./secret-keys.ts";

const named = (...names: readonly string[]) =>
  new Map(names.map((name, index) => [name, Buffer.from(String(index))]));

test("what a Secret's key may not have becomes an underscore, or its number", () => {
  expect([...convertKeys(named("databases/shop", "ok-1.x")).keys()]).toEqual(["databases_shop", "ok-1.x"]);
  expect([...convertKeys(named("a/b c😀"), "Unicode").keys()]).toEqual(["a_U002f_b_U0020_c_U1f600_"]);
});

test("two names that become one are refused", () => {
  expect(() => convertKeys(named("a/b", "a b"))).toThrow("secret name collision during conversion: a_b");
});

test("names are rewritten step by step, and of two that become one the last stays", () => {
  const result = rewriteKeys(named("db-user", "db-password", "other"), [
    { source: "^db-(.*)$", target: "pg_$1" },
    { source: "_", target: "-" },
    { source: "^(pg-user|other)$", target: "name" },
  ]);

  expect([...result].map(([key, value]) => `${key}=${Buffer.from(value).toString()}`)).toEqual([
    "name=2",
    "pg-password=1",
  ]);
});

test("a key that no Secret can have is refused; a value without a name is left out", () => {
  expect([...requireSecretKeys(named("", "a.b-c_D9")).keys()]).toEqual(["a.b-c_D9"]);
  expect(() => requireSecretKeys(named("a/b"))).toThrow(
    "invalid secret keys: key has an invalid character, only alphanumeric, '-', '.' and '_' are allowed: a/b",
  );
  expect(() => requireSecretKeys(named("a".repeat(254)))).toThrow("key has length 254 but max is 253");
});

describe("decoding", () => {
  test.each([
    ["None", "aGk=", "aGk="],
    [undefined, "aGk=", "aGk="],
    ["Base64", "aGk=", "hi"],
    ["Base64", "aG\nk=\n", "hi"],
    ["Base64URL", "Pz8_Pj4-", "???>>>"],
    ["Auto", "aGk=", "hi"],
    ["Auto", "Pz8_Pj4-", "???>>>"],
    ["Auto", "not base 64", "not base 64"],
  ] as const)("%s of %j is %j", (strategy, value, expected) => {
    expect(Buffer.from(decodeValue(Buffer.from(value), strategy)).toString()).toBe(expected);
  });

  test.each([
    ["Base64", "hunter2"],
    ["Base64", "Pz8_Pj4-"],
    ["Base64URL", "Pz8/Pj4+"],
    ["Base64", "aGk"],
  ] as const)("%s of %j is refused, and the value is not said", (strategy, value) => {
    expect(() => decodeValue(Buffer.from(value), strategy)).toThrow(
      `it is not ${strategy}, as its decodingStrategy says`,
    );
  });
});
