import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFileUpload } from "./file-upload.ts";
import { DurableTree } from "./durable-tree.ts";
import { TemporaryFile } from "./temporary-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidemark-upload-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test("a write that was given up and wakes up late cannot write over what its repetition wrote", async () => {
  const target = join(folder, "object");
  const file = await TemporaryFile.create(target, new DurableTree(folder, 0o700), 0o600);
  const upload = createFileUpload({
    file,
    partBytes: 4,
    maxParts: 10,
    publish: async () => {
      const { size, mtime } = await file.publish("replace");
      return { key: "object", sizeBytes: size, modifiedAt: mtime };
    },
    attempt: async (_action, fn) => fn(),
  });
  // The system takes its time over the first write, which reads the memory only when it wakes up.
  let wake: () => void = () => undefined;
  const asleep = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const write = file.write.bind(file);
  vi.spyOn(file, "write").mockImplementationOnce(async (...args) => {
    await asleep;
    await write(...args);
  });
  const memory = Buffer.from("good");

  const givenUp = upload.writePart(0, [memory]);
  const repeated = upload.writePart(0, [memory]).then(() => {
    // A writer that sees success fills its buffer anew.
    memory.write("evil");
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  wake();
  await Promise.allSettled([givenUp, repeated]);
  await upload.complete();

  expect(await readFile(target, "utf8")).toBe("good");
});
