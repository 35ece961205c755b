import { describe, expect, it } from "vitest";
import { formKey, formsOf } from "./stored-form.ts";

describe("the form of a repository", () => {
  it("is the usual one, or its own: for everything it holds, or for WAL and base backups each", () => {
    const settings = [
      { name: "usual", url: "/a" },
      { url: "/b", compression: "gzip" },
      { url: "/c", compression: { wal: "none" }, level: { base: 3 } },
      { url: "/d", compression: "zstd", level: 9 },
    ] as const;

    const wal = formsOf(settings, "wal", { codec: "zstd", level: 19 });
    const base = formsOf(settings, "base", { codec: "zstd", level: 19 });

    expect([...wal]).toEqual([
      ["usual", { codec: "zstd", level: 19 }],
      // Level 19 is one of zstd's.
      ["repo2", { codec: "gzip" }],
      ["repo3", { codec: "none" }],
      ["repo4", { codec: "zstd", level: 9 }],
    ]);
    expect([...base].slice(1)).toEqual([
      ["repo2", { codec: "gzip" }],
      ["repo3", { codec: "zstd", level: 3 }],
      ["repo4", { codec: "zstd", level: 9 }],
    ]);
  });

  it("is the same as another one that gives the same bytes", () => {
    expect(formKey({ codec: "zstd" })).toBe(formKey({ codec: "zstd", level: 1 }));
    expect(formKey({ codec: "lz4", level: 3 })).toBe(formKey({ codec: "lz4" }));
    expect(formKey({ codec: "zstd" })).not.toBe(formKey({ codec: "zstd", level: 2 }));
    expect(formKey({ codec: "gzip" })).not.toBe(formKey({ codec: "zstd" }));
  });
});
