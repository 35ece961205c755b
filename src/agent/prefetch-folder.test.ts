import { access, mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removePrefetchFolder } from "./prefetch-folder.ts";

test("goes although somebody still writes into it", async () => {
  await using parent = await mkdtempDisposable(join(tmpdir(), "tidemark-prefetch-"));
  const root = join(parent.path, "root");
  await mkdir(join(root, "want"), { recursive: true });
  const untilMs = performance.now() + 150;
  const write = async (path: string): Promise<void> => {
    while (performance.now() < untilMs) await writeFile(path, "wanted\n").catch(() => undefined);
  };
  const writing = ["want/1", "want/2", "agent.pid"].map(async (name) => write(join(root, name)));

  await removePrefetchFolder(root);
  await Promise.all(writing);

  await expect(access(root)).rejects.toMatchObject({ code: "ENOENT" });
});
