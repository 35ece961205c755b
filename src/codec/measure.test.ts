import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { createMeter, Measure, measured } from "./measure.ts";
import { easyData } from "./testing/sample-data.ts";
import { asyncSource, collect, cut, through } from "./testing/streams.ts";

const data = easyData(700_000);
const expected = {
  sizeBytes: data.length,
  sha256: createHash("sha256").update(data).digest("hex"),
  crc32: crc32(data),
};

test("a meter passes everything on and knows what it was", async () => {
  const meter = createMeter({ sha256: true, crc32: true });

  expect((await through(meter, cut(data, 65_536))).equals(data)).toBe(true);
  expect(meter.result()).toEqual(expected);
});

test("a measured source gives the same chunks", async () => {
  const measure = new Measure({ sha256: true, crc32: true });
  const chunks = [...cut(data, 65_536)];

  expect(await collect(measured(asyncSource(chunks), measure))).toEqual(chunks);
  expect(measure.result()).toEqual(expected);
});

test("only what was asked for is computed", async () => {
  const meter = createMeter();

  await through(meter, [data]);

  expect(meter.result()).toEqual({ sizeBytes: data.length, sha256: undefined, crc32: undefined });
});

test("a result may be had in the midst", () => {
  const measure = new Measure({ sha256: true });

  measure.update(Buffer.from("a"));
  const first = measure.result().sha256;
  measure.update(Buffer.from("b"));

  expect(first).toBe(createHash("sha256").update("a").digest("hex"));
  expect(measure.result().sha256).toBe(createHash("sha256").update("ab").digest("hex"));
});
