import { expect, test } from "vitest";
import { placeInDataDirectory, placeInTablespace } from "./members.ts";

test.each(["base/16384", "base/5/16385", "global", "pg_xact", "pg_tblspc", "pg_tblspc/16384/PG_15_2/5"])(
  "a link at %s in place of data is refused: the copy would write into its origin's files",
  (path) => {
    expect(() => placeInDataDirectory(path, "symlink")).toThrow(
      expect.objectContaining({ code: "object-corrupt", message: expect.stringContaining(path) }),
    );
    expect(placeInDataDirectory(path, "directory")).toBe(path);
  },
);

test("a link in a tablespace is refused", () => {
  expect(() => placeInTablespace("PG_15_202209061/5", "symlink")).toThrow("is a link in place of data");
  expect(placeInTablespace("PG_15_202209061/5/16385", "file")).toBe("PG_15_202209061/5/16385");
  expect(placeInTablespace("other", "symlink")).toBeUndefined();
});

test.each(["pg_tblspc/16384", "pg_wal", "pg_stat_tmp", "pg_replslot", "log", "postgresql.conf"])(
  "a link at %s is left out: something else takes its place",
  (path) => {
    expect(placeInDataDirectory(path, "symlink")).toBeUndefined();
  },
);

test("a link elsewhere is kept", () => {
  expect(placeInDataDirectory("server.crt", "symlink")).toBe("server.crt");
});
