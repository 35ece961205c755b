import { chown, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { fakeCluster } from "../../agent/testing/agent-bench.ts";
import { clusterFolders } from "../clusters/cluster-folders.ts";
import { inspectDataDirectory, type OtherServer } from "./data-directory.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "tidemark-servers-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  const stateDirectory = join(path, "state");
  return {
    path,
    stateDirectory,
    inspect: async (directory: string, others: readonly OtherServer[] = []) =>
      inspectDataDirectory(directory, { stateDirectory, others }),
  };
}

describe("a data directory", () => {
  test("is fine when it is PostgreSQL's and our user's", async () => {
    const { path, inspect } = await place();
    const { dataDirectory } = await fakeCluster(17, join(path, "data"));

    expect(await inspect(dataDirectory)).toBeUndefined();
  });

  test("may come later when it is not there, or nothing of PostgreSQL's is in it", async () => {
    const { path, inspect } = await place();
    await mkdir(join(path, "empty"));

    expect(await inspect(join(path, "absent"))).toEqual({
      reason: "NoDataDirectory",
      message: `there is no data directory "${join(path, "absent")}" on this machine`,
      isRefused: false,
    });
    expect(await inspect(join(path, "empty"))).toMatchObject({
      reason: "NoDataDirectory",
      message: expect.stringContaining("it has no global/pg_control") as string,
      isRefused: false,
    });
  });

  test("of a Cluster is refused, by whatever path it is named", async () => {
    const { path, stateDirectory, inspect } = await place();
    const folders = clusterFolders(stateDirectory, { kind: "Cluster", namespace: "default", name: "pg" });
    const data = join(folders.instances, "pg-1", "data");
    await fakeCluster(17, data);
    await symlink(data, join(path, "link"));

    for (const name of [data, join(path, "link")]) {
      expect(await inspect(name)).toMatchObject({ reason: "DataDirectoryOfCluster", isRefused: true });
    }
  });

  test("of an older Server is refused, by whatever path that names it", async () => {
    const { path, inspect } = await place();
    const { dataDirectory } = await fakeCluster(17, join(path, "data"));
    await symlink(dataDirectory, join(path, "link"));
    const key = { kind: "Server", namespace: "default", name: "first" };

    expect(await inspect(dataDirectory, [{ key, dataDirectory: join(path, "link") }])).toMatchObject({
      reason: "DataDirectoryTaken",
      message: `"${dataDirectory}" is the data directory of Server default/first too, which was there before: list the stores there, and delete this one`,
    });
    expect(await inspect(dataDirectory, [{ key, dataDirectory: join(path, "other") }])).toBeUndefined();
  });

  test("of another user is refused", async () => {
    const { path, inspect } = await place();
    // Root can give a directory away; others have those of root.
    const isRoot = process.getuid?.() === 0;
    const directory = isRoot ? join(path, "theirs") : "/";
    if (isRoot) {
      await mkdir(directory);
      await chown(directory, 1, 1);
    }

    expect(await inspect(directory)).toMatchObject({ reason: "WrongUser", isRefused: true });
  });
});
