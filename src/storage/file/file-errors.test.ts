import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { fileStoreError } from "./file-errors.ts";

const system = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code });

describe("errors of the file system", () => {
  test.for([
    ["ENOSPC", "disk-full", true],
    ["EDQUOT", "disk-full", true],
    ["EACCES", "store-denied", false],
    ["EPERM", "store-denied", false],
    ["EROFS", "store-denied", false],
    ["EISDIR", "file-io", false],
    ["ENOTDIR", "file-io", false],
    ["EIO", "store-unavailable", true],
    ["EBADMSG", "store-unavailable", true],
    ["EUCLEAN", "store-unavailable", true],
    ["ESTALE", "store-unavailable", true],
    ["EMFILE", "store-unavailable", true],
    ["ENAMETOOLONG", "usage", false],
  ] as const)("%s becomes %s", ([errno, code, retryable]) => {
    const cause = system(errno);

    const error = fileStoreError('write "wals/x"', "/srv/backup", cause);

    expect(error).toMatchObject({ code, retryable, cause });
    expect(error.message).toMatch(/^could not write "wals\/x" in "?\/srv\/backup|^could not write "wals\/x"/);
  });

  test("an error of ours passes unchanged", () => {
    const error = new EngineError("object-exists", "taken");

    expect(fileStoreError("write", "/srv", error)).toBe(error);
  });

  test("permission trouble says whom to give it", () => {
    const error = fileStoreError('list ""', "/srv/backup", system("EACCES"));

    expect(error.message).toBe('could not list "" in "/srv/backup": permission denied');
    expect(error.hint).toBe(
      `Give the user this program runs as (uid ${process.getuid?.()}) read and write access to "/srv/backup" and all below it.`,
    );
  });
});
