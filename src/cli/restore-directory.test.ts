import { chmodSync, mkdtempSync, mkdirSync, rmSync, statSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { chooseServerUser } from "../postgres/unprivileged-user.ts";
import type { TablespaceTarget } from "../restore/tablespaces.ts";
import { makeRestoreDirectory } from "./restore-directory.ts";

const target = (directory: string): TablespaceTarget => ({
  name: "fast",
  oid: 16384,
  location: directory,
  directory,
  kind: "link",
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "restore-directory-"));
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the directory of a restore", () => {
  it("is refused when it holds something, before its owner or anything beside it changes", async () => {
    const used = join(folder, "used");
    mkdirSync(used, { mode: 0o755 });
    writeFileSync(join(used, "precious"), "x");
    const before = statSync(used);

    await expect(makeRestoreDirectory(used, [], true)).rejects.toMatchObject({ code: "target-directory" });

    expect(statSync(used)).toMatchObject({ uid: before.uid, gid: before.gid, mode: before.mode });
    expect(existsSync(`${used}.log`)).toBe(false);
  });

  it("comes with the absent ones of tablespaces, while whoever may make them still can", async () => {
    const user = await chooseServerUser();
    const fast = join(folder, "mnt/fast");

    await makeRestoreDirectory(join(folder, "data"), [target(fast)], false);

    // Who is not root makes them later, with the rest.
    expect(existsSync(fast) ? statSync(fast).uid : undefined).toBe(user?.uid);
  });

  it("leaves the owner of a tablespace's directory alone, and is refused when the server could not use it", async () => {
    const user = await chooseServerUser();
    const fast = join(folder, "fast");
    mkdirSync(fast);
    const before = statSync(fast);
    const outcome = await makeRestoreDirectory(join(folder, "data"), [target(fast)], false).then(
      () => "made",
      (error: unknown) => (isEngineError(error) ? error.code : error),
    );

    expect(outcome).toBe(user === undefined ? "made" : "target-directory");
    expect(statSync(fast)).toMatchObject({ uid: before.uid, gid: before.gid, mode: before.mode });
    expect(existsSync(join(folder, "data"))).toBe(false);
  });
});
