import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../archive/testing/archive-bench.ts";
import { watchSyncs } from "../common/testing/synced-folders.ts";
import { makePrivateFolders } from "./spool.ts";

test("folders that hold what nobody else knows are there after a power cut", async () => {
  const folder = await realpath(await temporaryFolder());
  const root = join(folder, "spool", "7");
  const synced = await watchSyncs();

  await makePrivateFolders([root, join(root, "owed")], undefined);

  expect(synced).toEqual([join(folder, "spool"), folder, root]);
});
