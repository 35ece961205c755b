import { expect, test } from "vitest";
import { codecNamed } from "./codecs.ts";
import { createEncoder } from "./encode.ts";
import { easyData } from "./testing/sample-data.ts";
import { through } from "./testing/streams.ts";

const segment = easyData(4_000_000);

test.each(["gzip", "zstd"])("the level reaches the encoder of %s", async (codec) => {
  const size = async (level: number): Promise<number> =>
    (await through(createEncoder(codecNamed(codec), { level }), [segment])).length;

  expect(await size(9)).toBeLessThan(await size(1));
});

test("a format that can only be read is refused", () => {
  expect(() => createEncoder(codecNamed("bzip2"))).toThrow(
    'compression "bzip2" can be read, but not written',
  );
});
