import { describe, expect, test } from "vitest";
import { parseTablespaceMap, tablespaceTargets } from "./tablespaces.ts";

const info = {
  pgdata: "/pgdata",
  tablespaces: [
    { name: "fast", oid: 16_384, location: "/mnt/fast" },
    { name: "inside", oid: 16_385, location: "/pgdata/spaces/inside" },
    { name: "in_place", oid: 16_386, location: "pg_tblspc/16386" },
  ],
};

const places = (map: readonly string[]) =>
  tablespaceTargets(info, "/new", parseTablespaceMap(map)).map(({ name, directory, kind }) => [
    name,
    directory,
    kind,
  ]);

test("a tablespace goes where it was, moves with the data directory it lay in, or stays in place", () => {
  expect(places([])).toEqual([
    ["fast", "/mnt/fast", "link"],
    ["inside", "/new/spaces/inside", "link"],
    ["in_place", "/new/pg_tblspc/16386", "in-place"],
  ]);
});

test.each(["fast=/mnt/other", "/mnt/fast=/mnt/other", "16384=/mnt/other/"])(
  "%s maps by name, old path or OID",
  (text) => {
    expect(places([text])[0]).toEqual(["fast", "/mnt/other", "link"]);
  },
);

test("a path with = is written with a backslash before it", () => {
  expect(parseTablespaceMap([String.raw`/a\=b=/c\=d`])).toEqual(new Map([["/a=b", "/c=d"]]));
});

describe("refused", () => {
  test.each(["fast", "fast=", "=/x", "fast=relative", "a=b=/c"])('the mapping "%s"', (text) => {
    expect(() => parseTablespaceMap([text])).toThrow(/is not a tablespace mapping/);
  });

  test.each<[string[], RegExp]>([
    [["slow=/x"], /the backup has no tablespace "slow"/],
    [["fast=/x", "inside=/x"], /tablespaces "fast" and "inside" cannot go to/],
    [["fast=/x/y", "inside=/x"], /tablespaces "fast" and "inside" cannot go to/],
    [["fast=/new/base"], /is inside the data directory/],
    [["fast=/"], /the data directory lies in it/],
    [["fast=/new"], /the data directory lies in it/],
  ])("%j", (map, message) => {
    expect(() => places(map)).toThrow(message);
  });

  test("a name mapped twice", () => {
    expect(() => parseTablespaceMap(["fast=/a", "fast=/b"])).toThrow(/mapped twice/);
  });
});
