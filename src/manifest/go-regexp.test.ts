import { describe, expect, test } from "vitest";
import { compileGoRegexp, replaceAllAsGo } from "./go-regexp.ts";

describe("expressions that mean the same in Go", () => {
  test.each([
    ["^db-", "db-password", true],
    ["^db-", "the-db-password", false],
    ["(?i)PASSWORD$", "db-password", true],
    ["^(?P<first>a)b$", "ab", true],
    ["^[^/]+$", "a/b", false],
    [String.raw`a\\b`, String.raw`a\b`, true],
    [String.raw`^db\-[\w\-]+\_x$`, "db-user-1_x", true],
    [String.raw`\\-`, "-", false],
  ])("%s of %s: %s", (source, text, isMatch) => {
    expect(compileGoRegexp(source)?.test(text)).toBe(isMatch);
  });
});

test.each(["[[:alpha:]]", String.raw`\Aa`, "(?=a)", "(?<!a)b", "(", "(?U)a+", String.raw`(a)\1`, "a**"])(
  "%s is refused: the two do not agree on it",
  (source) => {
    expect(compileGoRegexp(source)).toBeUndefined();
  },
);

describe("replacing as Go does", () => {
  test.each([
    ["db-(.*)", "$1", "db-user", "user"],
    ["db-(.*)", "pg_${1}_x", "db-user", "pg_user_x"],
    // The longest name: there is no group called 1_x.
    ["db-(.*)", "pg_$1_x", "db-user", "pg_"],
    ["(?P<name>u.*)", "$name$$", "db-user", "db-user$"],
    ["-", "_", "a-b-c", "a_b_c"],
    ["x", "y", "abc", "abc"],
    ["^", "p", "abc", "pabc"],
    ["b*", "-", "abc", "-a-c-"],
  ])("%s by %s in %s gives %s", (source, target, text, expected) => {
    const expression = compileGoRegexp(source);

    expect(expression && replaceAllAsGo(text, expression, target)).toBe(expected);
  });
});
