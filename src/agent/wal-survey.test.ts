import { expect, test } from "vitest";
import { testRepository } from "../archive/testing/archive-bench.ts";
import { segmentName } from "../archive/testing/wal-files.ts";
import { mib } from "../common/units.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { surveyWal } from "./wal-survey.ts";

async function storeWith(
  numbers: readonly number[],
  histories: readonly string[] = [],
): Promise<ObjectStore> {
  const store = await temporaryStore();
  for (const number of numbers) {
    const name = segmentName(number);
    await store.put(`pg1/wals/${name.slice(0, 16)}/${name}.zst`, [Buffer.from("x")]);
  }
  for (const name of histories) await store.put(`pg1/wals/${name}.gz`, [Buffer.from("x")]);
  return store;
}

const survey = async (stores: Readonly<Record<string, ObjectStore>>, options: { limit?: number } = {}) => {
  const failed: string[] = [];
  const found = await surveyWal({
    repositories: Object.entries(stores).map(([name, store]) => testRepository(store, name)),
    segmentSizeBytes: mib,
    limit: options.limit ?? 100,
    isUnderWay: (name) => name === segmentName(5001),
    onFailed: (repository) => failed.push(repository),
  });
  const missing = Object.fromEntries(
    [...found.findings].map(([name, { missing, missingFiles }]) => [
      name,
      { files: missingFiles, names: missing.map((file) => file.name) },
    ]),
  );
  return { missing, holes: found.holes.map(({ name }) => name), holeFiles: found.holeFiles, failed };
};

test("what one repository is without and another has is found, in whatever folder it lies, and what nobody has", async () => {
  // A folder of 1 MiB segments has 4096 of them.
  const left = await storeWith([1, 2, 4, 4095, 4096, 4097, 5000], ["00000002.history"]);
  const right = await storeWith([2, 4096, 5000, 5001]);

  const found = await survey({ left, right }, { limit: 3 });

  expect(found.missing).toEqual({
    left: { files: 0, names: [] },
    right: { files: 5, names: [segmentName(1), segmentName(4), segmentName(4095)] },
  });
  // 3, 5 … 4094, 4098 … 4999.
  expect(found.holes.slice(0, 2)).toEqual([segmentName(3), segmentName(5)]);
  expect(found.holeFiles).toBe(1 + 4090 + 902);
});

test("a repository that cannot be listed is left out, and the others are compared", async () => {
  const found = await survey({
    left: await storeWith([1, 2]),
    down: faultyStore(await storeWith([]), { probability: 1, operation: "list" }),
    right: await storeWith([2]),
  });

  expect(found.failed).toEqual(["down"]);
  expect(found.missing).toEqual({
    left: { files: 0, names: [] },
    right: { files: 1, names: [segmentName(1)] },
  });
});
