import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assemblePageChecksum } from "../../scripts/build-page-checksum.ts";
import { lsn } from "./lsn.ts";
import { supportedMajors } from "./majors.ts";
import { pageChecksumWasm } from "./page-checksum-wasm.ts";
import { createPageVerifier } from "./page-checksum.ts";
import { readFixture } from "./testing/fixtures.ts";

/** The start values of the 32 lanes, read from the source that holds them. */
async function baseOffsets(): Promise<Uint32Array> {
  const source = await readFile(new URL("page-checksum.wat", import.meta.url), "utf8");
  const vectors = source.matchAll(/v128\.const i32x4 ((?:0x[0-9A-F]{8} ?){4})\)/g);
  return Uint32Array.from([...vectors].flatMap(([, words = ""]) => words.trim().split(" ").map(Number)));
}

const offsets = await baseOffsets();

/** pg_checksum_page, as plain as can be. */
function checksumOf(page: Uint8Array, block: number): number {
  const copy = Buffer.from(page);
  copy.writeUInt16LE(0, 8);
  const sums = Uint32Array.from(offsets);
  const mix = (lane: number, word: number) => {
    const mixed = (sums[lane] ?? 0) ^ word;
    sums[lane] = Math.imul(mixed, 16_777_619) ^ (mixed >>> 17);
  };
  for (let at = 0; at < copy.length; at += 4) mix((at / 4) % 32, copy.readUInt32LE(at));
  for (let lane = 0; lane < 64; lane++) mix(lane % 32, 0);
  const result = sums.reduce((all, sum) => all ^ sum, 0) ^ block;
  return ((result >>> 0) % 65_535) + 1;
}

/** A page with this content that says it is in use, was last changed at `pageLsn`, and has the right checksum. */
function makePage(content: Uint8Array, block: number, pageLsn = 1n): Buffer {
  const page = Buffer.from(content);
  page.writeUInt32LE(Number(pageLsn >> 32n), 0);
  page.writeUInt32LE(Number(pageLsn & 0xffff_ffffn), 4);
  page.writeUInt16LE(page.length, 14);
  page.writeUInt16LE(checksumOf(page, block), 8);
  return page;
}

test("the assembled module that is committed comes from its source", async () => {
  expect(Buffer.from(await assemblePageChecksum()).toString("base64")).toBe(pageChecksumWasm);
  expect(offsets).toHaveLength(32);
});

describe.each(supportedMajors)("the pages of PostgreSQL %i", (major) => {
  test.each([
    ["heap", 6],
    ["index", 3],
  ])("of a %s have the checksums we compute", async (name, atLeast) => {
    const bytes = await readFixture(major, name);
    const { verifyBytes } = createPageVerifier({ bufferBytes: 16_384 });

    // From 16 on, relations grow by several pages at once, the last of which are still zeros.
    const used = Array.from({ length: bytes.length / 8192 }, (_, index) => index).filter(
      (index) => bytes.readUInt16LE(index * 8192 + 14) !== 0,
    );
    expect(used.length).toBeGreaterThanOrEqual(atLeast);
    expect(verifyBytes(bytes, 0)).toEqual([]);
    expect(verifyBytes(bytes, 1).map(({ block }) => block - 1)).toEqual(used);
  });

  test("show every flipped bit", async () => {
    const bytes = await readFixture(major, "heap");
    const { verifyBytes } = createPageVerifier({ bufferBytes: 65_536 });
    // Not in pd_upper, which says whether there is anything to verify.
    const places = fc.nat(bytes.length - 1).filter((at) => at % 8192 !== 14 && at % 8192 !== 15);
    fc.assert(
      fc.property(places, fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);

        expect(verifyBytes(damaged, 0).map(({ block }) => block)).toEqual([Math.floor(at / 8192)]);
      }),
    );
  });
});

test.each([1024, 2048, 4096, 8192, 16_384, 32_768])("pages of %i bytes get PostgreSQL's checksum", (size) => {
  const { verifyBytes } = createPageVerifier({ bufferBytes: 2 * size, blockSizeBytes: size });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: size, maxLength: size, size: "max" }),
      fc.nat(2 ** 32 - 2),
      fc.nat(65_535),
      (content, block, stored) => {
        const page = makePage(content, block);
        const right = checksumOf(page, block);
        const claimed = Buffer.from(page);
        claimed.writeUInt16LE(stored, 8);
        const bad = { block, offset: 0, pageLsn: 1n, expected: right, found: stored, newButNotEmpty: false };

        expect(verifyBytes(page, block)).toEqual([]);
        expect(verifyBytes(claimed, block)).toEqual(stored === right ? [] : [bad]);
      },
    ),
    { numRuns: 30 },
  );
});

test("a page of zeros is new, and one that only says so is bad", () => {
  const { buffer, verify } = createPageVerifier({ bufferBytes: 3 * 8192 });
  buffer[8192 + 8191] = 1;

  expect(verify(3 * 8192, 10)).toEqual([
    expect.objectContaining({ block: 11, offset: 8192, newButNotEmpty: true }),
  ]);
});

test("a page changed since the backup started may be torn, one that claims the future is bad", () => {
  const { verifyBytes } = createPageVerifier({ bufferBytes: 4 * 8192 });
  const startLsn = lsn(0x1_0000_0000n);
  const positions = [startLsn - 1n, startLsn, startLsn + 500n, startLsn + 501n, 2n ** 64n - 1n];
  const pages = positions.map((position, block) => makePage(Buffer.alloc(8192, 7), block, position));
  for (const page of pages) page.writeUInt16LE(page.readUInt16LE(8) ^ 1, 8);
  const bytes = Buffer.concat(pages);
  const badBlocks = (changed?: Parameters<typeof verifyBytes>[2]) =>
    verifyBytes(bytes, 0, changed).map(({ block }) => block);

  expect(badBlocks()).toEqual([0, 1, 2, 3, 4]);
  expect(badBlocks({ startLsn })).toEqual([0]);
  expect(badBlocks({ startLsn, endLsn: lsn(startLsn + 500n) })).toEqual([0, 3, 4]);
  expect(verifyBytes(bytes, 0)[2]?.pageLsn).toBe(startLsn + 500n);
});

test("looks at whole pages only, and leaves the buffer as it is", () => {
  const { buffer, verify } = createPageVerifier({ bufferBytes: 3 * 8192 });
  buffer.fill(0xab);
  const before = Buffer.from(buffer);

  expect(verify(0, 0)).toEqual([]);
  expect(verify(8191, 0)).toEqual([]);
  expect(verify(2 * 8192 + 100, 0).map(({ block }) => block)).toEqual([0, 1]);
  expect(before.equals(buffer)).toBe(true);
});

test("reports every page of a full buffer", () => {
  const { buffer, verify } = createPageVerifier({ bufferBytes: 8 * 65_536, blockSizeBytes: 1024 });
  buffer.fill(0xab);

  expect(verify(buffer.length, 0)).toHaveLength(512);
});

test.each([
  [{ bufferBytes: 8192, blockSizeBytes: 512 }, "512 is not a PostgreSQL block size"],
  [{ bufferBytes: 65_536, blockSizeBytes: 65_536 }, "65536 is not a PostgreSQL block size"],
  [{ bufferBytes: 9000 }, "a buffer of 9000 bytes does not hold whole pages of 8192"],
  [{ bufferBytes: 0 }, "a buffer of 0 bytes does not hold whole pages of 8192"],
])("refuses %j", (options, reason) => {
  expect(() => createPageVerifier(options)).toThrow(reason);
});
