import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mib } from "../common/units.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import {
  expectedSystem,
  pushOnce,
  temporaryFolder,
  testRepository,
  writeWal,
} from "./testing/archive-bench.ts";
import { makeSegment, segmentName } from "./testing/wal-files.ts";
import { fetchWalFile } from "./wal-file.ts";

const kinds = ["unavailable", "lost-answer", "denied", "crash", "crash-after", "torn-part"] as const;
const variants = [
  { title: "a compressed segment", codec: "zstd", sizeBytes: mib, kinds },
  { title: "a plain segment with its checksum", codec: "none", sizeBytes: mib, kinds },
  // Slow, and what fails before it has an effect is as above.
  { title: "a large segment in parts", codec: "none", sizeBytes: 32 * mib, kinds: kinds.slice(4) },
] as const;

/**
 * The promise: what push calls archived is there, whole; what failed leaves nothing in the way of the next push, and at no
 * time is there anything under the name that could be delivered and is not the segment.
 */
describe.each(variants)("pushing $title", ({ codec, sizeBytes, kinds }) => {
  test.each(kinds)("survives %s at every store call, and the next push succeeds", async (kind) => {
    const source = await temporaryFolder();
    const name = segmentName(3, { sizeBytes });
    const content = makeSegment({ name, sizeBytes });
    const path = await writeWal(source, name, content);
    const expected = { ...expectedSystem, walSegmentSizeBytes: sizeBytes };
    let failAtCall = 0;
    let faults: number;
    do {
      const inner = await temporaryStore();
      const store = faultyStore(inner, { kind, failAtCall: ++failAtCall });

      const { outcomes } = await pushOnce([{ repository: testRepository(store), codec }], path, expected);
      const between = await fetched(inner, name, sizeBytes);
      const again = await pushOnce([{ repository: testRepository(inner), codec }], path, expected);

      expect(outcomes[0]?.kind === "failed" || between !== undefined).toBe(true);
      expect(between === undefined || between.equals(content)).toBe(true);
      expect(again.outcomes[0]?.kind).not.toBe("failed");
      expect((await fetched(inner, name, sizeBytes))?.equals(content)).toBe(true);
      faults = store.faults;
    } while (faults > 0);
    expect(failAtCall).toBeGreaterThan(4);
  });
});

async function fetched(
  store: Parameters<typeof testRepository>[0],
  name: string,
  walSegmentSizeBytes: number,
): Promise<Buffer | undefined> {
  const destination = join(await temporaryFolder(), name);
  const outcome = await fetchWalFile({
    name,
    destination,
    repositories: [testRepository(store)],
    walSegmentSizeBytes,
  });
  return outcome.kind === "delivered" ? readFile(destination) : undefined;
}
