import { chown, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pushOnce, temporaryFolder, testRepository, writeWal } from "../../archive/testing/archive-bench.ts";
import { makeSegment, segmentName } from "../../archive/testing/wal-files.ts";
import { temporaryStore } from "../../storage/testing/temporary-store.ts";
import { run } from "./wal-fetch.ts";

test("a file that root fetches belongs to whom its directory belongs to", async () => {
  const name = segmentName(3);
  const store = await temporaryStore();
  const source = await writeWal(await temporaryFolder(), name, makeSegment({ name }));
  await pushOnce([{ repository: testRepository(store), codec: "zstd" }], source);
  const directory = await temporaryFolder();
  if (process.getuid?.() === 0) await chown(directory, 65_534, 65_534);

  const destination = join(directory, "RECOVERYXLOG");
  await run(name, destination, { repo: [store.url], server: "pg1" }, new AbortController().signal);

  const [file, folder] = [await stat(destination), await stat(directory)];
  expect([file.uid, file.gid, file.mode & 0o777]).toEqual([folder.uid, folder.gid, 0o600]);
});
