import { expect, test } from "vitest";
import { safeTarPath } from "./safe-path.ts";

test.each([
  ["./a//b/", "a/b"],
  ["./PG_VERSION", "PG_VERSION"],
  ["PG_VERSION", "PG_VERSION"],
  ["./", "."],
  [".", "."],
  ["a/./b", "a/b"],
  ["..a/b..", "..a/b.."],
])("%s is %s below the target", (name, path) => {
  expect(safeTarPath(name)).toBe(path);
});

test.each([
  ["/etc/passwd", 'damaged tar data: the name "/etc/passwd" is absolute'],
  ["a/../../b", 'damaged tar data: the name "a/../../b" leads out of the directory'],
  ["..", 'damaged tar data: the name ".." leads out of the directory'],
  ["a\0b", 'damaged tar data: the name "a\\u0000b" contains a NUL byte'],
  ["", 'damaged tar data: the name "" is empty'],
])("%j is refused", (name, message) => {
  expect(() => safeTarPath(name)).toThrow(message);
});
