import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTablespaceMap, parseTablespaceMap } from "./tablespace-map.ts";

test("writes a backslash before newlines, carriage returns and backslashes", () => {
  const entries = [
    { oid: 16384, path: "/srv/a b" },
    { oid: 4294967295, path: "/srv/\n\\\r" },
  ];

  const text = formatTablespaceMap(entries);

  expect(text).toBe("16384 /srv/a b\n4294967295 /srv/\\\n\\\\\\\r\n");
  expect(parseTablespaceMap(text)).toEqual(entries);
});

test("reads back every path", () => {
  const paths = fc.string({ unit: fc.constantFrom("/", "a", " ", "\\", "\n", "\r", "é", "7"), minLength: 1 });
  const entries = fc.array(fc.record({ oid: fc.integer({ min: 1, max: 2 ** 32 - 1 }), path: paths }));
  fc.assert(
    fc.property(entries, (entries) => {
      expect(parseTablespaceMap(formatTablespaceMap(entries))).toEqual(entries);
    }),
  );
});

test("takes carriage returns and empty lines as PostgreSQL does", () => {
  expect(parseTablespaceMap("\n16384 /a\r\n\r\n16385 /b\n")).toEqual([
    { oid: 16384, path: "/a" },
    { oid: 16385, path: "/b" },
  ]);
  expect(parseTablespaceMap("")).toEqual([]);
});

test.each([
  "16384 /a",
  "16384 /a\\",
  "16384\n",
  "16384 \n",
  " /a\n",
  "x /a\n",
  "0 /a\n",
  "4294967296 /a\n",
  "1  \\",
])("refuses %j", (text) => {
  expect(() => parseTablespaceMap(text)).toThrow("the tablespace map is invalid");
});
