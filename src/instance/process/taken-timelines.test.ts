import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { silentLog } from "../../common/log.ts";
import { instanceFolder } from "../instance-folder.ts";
import { holdTakenTimelines, releaseTimelines } from "./taken-timelines.ts";
import { sampleArchive } from "./testing/sample-spec.ts";

async function stage() {
  const store = await temporaryFolder();
  await mkdir(join(store, "pg/wals"), { recursive: true });
  const folder = instanceFolder(await temporaryFolder());
  const walDirectory = join(folder.data, "pg_wal");
  await mkdir(walDirectory, { recursive: true });
  await writeFile(join(walDirectory, "00000002.history"), "1\t0/3000000\tits own\n");
  return {
    folder,
    store,
    hold: async (archived: readonly string[], repositories = sampleArchive(store).repositories) => {
      for (const name of archived) await writeFile(join(store, "pg/wals", name), "x");
      const archive = sampleArchive(store, { repositories });
      const signal = AbortSignal.timeout(10_000);
      await holdTakenTimelines({ folder, archive, timeline: 1, log: silentLog, signal });
    },
    histories: async () => (await readdir(walDirectory)).toSorted(),
  };
}

test("numbers of timelines that the archive has are held up to the first that it does not have, and released before a standby starts", async () => {
  const { folder, hold, histories } = await stage();

  await hold(["00000003.history.zst", "00000004.history.gz", "00000006.history"]);
  expect(await histories()).toEqual(["00000002.history", "00000003.history", "00000004.history"]);

  await releaseTimelines(folder);
  expect(await histories()).toEqual(["00000002.history"]);
});

test("numbers that one of several stores has are held also when another one is gone", async () => {
  const { store, hold, histories } = await stage();
  const gone = { name: "gone", url: "/dev/null/store" };

  await hold(["00000003.history"], [gone, ...sampleArchive(store).repositories]);

  expect(await histories()).toEqual(["00000002.history", "00000003.history"]);
});

test("an archive that cannot be opened holds nothing, and keeps nobody from being promoted", async () => {
  const { folder, histories } = await stage();
  const archive = sampleArchive("/dev/null/store");

  const signal = AbortSignal.timeout(10_000);
  await holdTakenTimelines({ folder, archive, timeline: 1, log: silentLog, signal });

  expect(await histories()).toEqual(["00000002.history"]);
});
