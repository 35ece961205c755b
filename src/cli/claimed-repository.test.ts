import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fakeCluster } from "../agent/testing/agent-bench.ts";
import { temporaryFolder } from "../archive/testing/archive-bench.ts";
import { segmentName } from "../archive/testing/wal-files.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

async function tidemark(words: readonly string[]): Promise<{ code: unknown; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...words], (error, _stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });
}

async function archivedOnce() {
  const cluster = await fakeCluster();
  const [first, second] = [segmentName(3), segmentName(4)];
  await cluster.finish({ name: first });
  await cluster.finish({ name: second });
  const folder = await temporaryFolder();
  // Root becomes another user beside a server.
  for (const path of [folder, dirname(cluster.dataDirectory)]) await chmod(path, 0o777);
  const disk = join(folder, "disk");
  const push = async (name: string, more: readonly string[] = []) =>
    tidemark([
      "wal",
      "push",
      join(cluster.walDirectory, name),
      "--repo",
      join(disk, "backup"),
      "--server",
      "main",
      ...more,
    ]);
  expect(await push(first)).toMatchObject({ code: 0 });
  return { cluster, folder, disk, second, push };
}

test("WAL is not pushed into the mount point of a disk that is not mounted", async () => {
  const { cluster, folder, disk, second, push } = await archivedOnce();
  await rename(disk, join(folder, "unmounted"));
  await mkdir(disk);
  await chmod(disk, 0o777);

  const missing = await push(second);

  expect(missing).toMatchObject({
    code: 12,
    stderr: expect.stringContaining("mount the file system") as string,
  });
  expect(await readdir(disk)).toEqual([]);
  await mkdir(join(disk, "backup"));
  await chmod(join(disk, "backup"), 0o777);
  const empty = await push(second);
  expect(empty.code).toBe(12);
  expect(empty.stderr).toContain("it was claimed before");
  expect(await readdir(join(disk, "backup"))).toEqual([]);

  await rm(disk, { recursive: true });
  await rename(join(folder, "unmounted"), disk);
  expect(await push(second)).toMatchObject({ code: 0 });
  expect(await readdir(`${cluster.dataDirectory}.tidemark`)).toEqual(["claimed"]);
});

test("a repository that was emptied on purpose begins anew when its note is removed", async () => {
  const { cluster, disk, second, push } = await archivedOnce();
  await rm(disk, { recursive: true });
  const refused = await push(second, ["--spool", `${cluster.dataDirectory}.tidemark`]);
  expect(refused.code).toBe(12);

  await rm(join(`${cluster.dataDirectory}.tidemark`, "claimed"), { recursive: true });

  expect(await push(second)).toMatchObject({ code: 0 });
});
