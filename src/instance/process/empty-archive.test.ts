import { describe, expect, test } from "vitest";
import { temporaryFolder, testRepository } from "../../archive/testing/archive-bench.ts";
import { temporaryStore } from "../../storage/testing/temporary-store.ts";
import { instanceFolder } from "../instance-folder.ts";
import { requireFreshArchive } from "./empty-archive.ts";
import { sampleArchive, sampleSpec } from "./testing/sample-spec.ts";

const wal = "pg1/wals/0000000100000000/000000010000000000000001";

async function stage() {
  const store = await temporaryStore();
  return { store, folder: instanceFolder(await temporaryFolder()), repositories: [testRepository(store)] };
}

const cautious = sampleSpec({ archive: sampleArchive("/x") });

describe("before its first write an instance", () => {
  test("refuses an archive in which there is something, and takes it when that is gone", async () => {
    const { store, folder, repositories } = await stage();
    await store.put(wal, [Buffer.from("x")]);

    await expect(requireFreshArchive(folder, cautious, repositories)).rejects.toMatchObject({
      code: "object-exists",
      message: `expected an empty archive, but repository "${store.url}/pg1" holds "${wal}"`,
    });
    await store.delete([wal]);
    await requireFreshArchive(folder, cautious, repositories);
  });

  test("asks once only: what is there later is its own", async () => {
    const { store, folder, repositories } = await stage();
    await requireFreshArchive(folder, cautious, repositories);
    await store.put(wal, [Buffer.from("x")]);

    await expect(requireFreshArchive(folder, cautious, repositories)).resolves.toBeUndefined();
  });

  test.each([
    ["it was told not to", sampleSpec({ archive: sampleArchive("/x", { requireEmptyArchive: false }) })],
    [
      "it shares its primary's archive",
      { ...cautious, role: { kind: "standby", host: "/x", port: 1 } } as const,
    ],
  ])("does not ask when %s, nor later", async (_title, spec) => {
    const { store, folder, repositories } = await stage();
    await store.put(wal, [Buffer.from("x")]);

    await expect(requireFreshArchive(folder, spec, repositories)).resolves.toBeUndefined();
    await expect(requireFreshArchive(folder, cautious, repositories)).resolves.toBeUndefined();
  });
});
