import { mkdtempSync, mkdirSync, rmSync, statSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeRestoreDirectory } from "./restore-directory.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "restore-directory-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the directory of a restore", () => {
  it("is refused when it holds something, before its owner or anything beside it changes", async () => {
    const used = join(folder, "used");
    mkdirSync(used, { mode: 0o755 });
    writeFileSync(join(used, "precious"), "x");
    const before = statSync(used);

    await expect(makeRestoreDirectory(used, true)).rejects.toMatchObject({ code: "target-directory" });

    expect(statSync(used)).toMatchObject({ uid: before.uid, gid: before.gid, mode: before.mode });
    expect(existsSync(`${used}.log`)).toBe(false);
  });
});
