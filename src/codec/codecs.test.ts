import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Codec, codecNames } from "./codec.ts";
import { codecNamed, codecForExtension, splitCodecExtension } from "./codecs.ts";
import { easyData, hardData } from "./testing/sample-data.ts";
import { cut, through, throughReleased } from "./testing/streams.ts";

const hard = hardData(1000);
const large = Buffer.concat([hardData(1_600_000), easyData(1_500_000), Buffer.alloc(1_500_000, 7)]);

/** Debian's program for each format, and the variants of the format that it can write. */
const programs: Readonly<Record<string, { readonly program: string; readonly variants: readonly string[] }>> =
  {
    gzip: { program: "gzip", variants: ["-1", "-9"] },
    zstd: { program: "zstd", variants: ["-1", "-15", "-3 --no-check", "-1 -T2", "--fast=5"] },
    lz4: {
      program: "lz4",
      variants: ["-1", "-9", "-BD -B4", "-BD -B7", "-BX -B5", "--no-frame-crc", "-B6"],
    },
    bzip2: { program: "bzip2", variants: ["-1", "-9"] },
    xz: {
      program: "xz",
      variants: ["-0", "-6", "-1 --check=none", "-0 -T2 --block-size=500000"],
    },
  };

const compressing = codecNames.filter((name) => name !== "none");
const writing = compressing.filter((name) => codecNamed(name).createEncoder !== undefined);

function run(program: string, args: readonly string[], input: Uint8Array): Buffer {
  return execFileSync(program, args, { input, maxBuffer: 1e9, stdio: ["pipe", "pipe", "ignore"] });
}

async function encode(codec: Codec, chunks: Iterable<Uint8Array>, level?: number): Promise<Buffer> {
  if (codec.createEncoder === undefined) {
    return run(programs[codec.name]!.program, ["-1", "-c"], Buffer.concat([...chunks]));
  }
  return through(codec.createEncoder(level === undefined ? {} : { level }), chunks);
}

async function decode(codec: Codec, ...chunks: Uint8Array[]): Promise<Buffer> {
  return through(codec.createDecoder(), chunks);
}

/** What reading these bytes comes to: the bytes, or the code and text of the error. */
async function outcome(codec: Codec, ...chunks: Uint8Array[]): Promise<string> {
  return decode(codec, ...chunks).then(
    (bytes) => `${bytes.equals(hard) ? "the same" : "other"} ${bytes.length} bytes`,
    (error: Error & { code?: string }) => error.code ?? error.message,
  );
}

describe.each(codecNames.filter((name) => name === "none" || writing.includes(name)))("%s", (name) => {
  const codec = codecNamed(name);

  test("gives back what went in, of any size and cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 5000 }),
        async (chunks, size) => {
          const encoded = await encode(codec, chunks);
          expect(await through(codec.createDecoder(), cut(encoded, size))).toEqual(Buffer.concat(chunks));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("gives back megabytes that went in, in small and in large chunks", async () => {
    for (const size of [10_000, 256 * 1024, 3_000_000]) {
      const encoded = await encode(codec, cut(large, size));
      expect((await through(codec.createDecoder(), cut(encoded, size))).equals(large)).toBe(true);
    }
  });
});

describe.each(compressing)("%s data", (name) => {
  const codec = codecNamed(name);

  test("are decoded wherever their chunks are cut, several members in one stream too", async () => {
    const members = [hard, Buffer.from("second"), Buffer.alloc(0), hard];
    const encoded = Buffer.concat(await Promise.all(members.map((member) => encode(codec, [member]))));
    const expected = Buffer.concat(members);

    for (let at = 1; at < encoded.length; at += 11) {
      expect(await decode(codec, encoded.subarray(0, at), encoded.subarray(at))).toEqual(expected);
    }
    expect(await through(codec.createDecoder(), cut(encoded, 1))).toEqual(expected);
  });

  test("are refused when they are cut off at any byte", async () => {
    const encoded = await encode(codec, [hard]);

    const outcomes = new Map<string, number[]>();
    for (let at = 0; at < encoded.length; at++) {
      const found = await outcome(codec, encoded.subarray(0, at));
      outcomes.set(found, [...(outcomes.get(found) ?? []), at]);
    }

    // Snappy has no end mark: behind its ten bytes of identifier, nothing is a whole stream of nothing.
    const silent = name === "snappy" ? [["other 0 bytes", [10]]] : [];
    outcomes.delete("object-corrupt");
    expect([...outcomes]).toEqual(silent);
  });

  test("never give other bytes when any byte of them is changed", async () => {
    const encoded = await encode(codec, [hard]);

    const outcomes = new Set<string>();
    for (let at = 0; at < encoded.length; at++) {
      for (const change of [0x01, 0xff]) {
        const damaged = Buffer.from(encoded);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        outcomes.add(await outcome(codec, damaged));
      }
    }

    // Bytes that carry no content (gzip's time stamp) may change. Snappy's chunks are of a kind to be skipped by one byte.
    outcomes.delete("the same 1000 bytes");
    outcomes.delete("object-corrupt");
    expect([...outcomes]).toEqual(name === "snappy" ? ["other 0 bytes"] : []);
  });

  test.each([
    ["a zero byte", Buffer.alloc(1)],
    ["three zero bytes", Buffer.alloc(3)],
    ["a byte that could start a member", Buffer.of(0x1f)],
    ["text", Buffer.from("and then something else altogether")],
  ])("are refused when %s follows them", async (_, tail) => {
    const encoded = await encode(codec, [hard]);

    expect(await outcome(codec, Buffer.concat([encoded, tail]))).toBe("object-corrupt");
    expect(await outcome(codec, encoded, tail)).toBe("object-corrupt");
  });

  test("are refused when they are of another format", async () => {
    expect(await outcome(codec, large)).toBe("object-corrupt");
    expect(await outcome(codec)).toBe("object-corrupt");
  });

  test("end with the source's own error when that fails", async () => {
    const encoded = await encode(codec, [large]);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield encoded.subarray(0, 1000);
      throw new Error("connection lost");
    };

    const read = pipeline(source, codec.createDecoder(), async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
    });

    await expect(read).rejects.toThrow("connection lost");
  });

  test("can be left half-read", async () => {
    const encoded = await encode(codec, [large]);
    const decoder = codec.createDecoder();
    const read = pipeline(
      Readable.from(cut(encoded, 100_000)),
      decoder,
      async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) if (chunk.length > 0) break;
      },
    );

    await read.catch(() => undefined);

    expect(decoder.destroyed).toBe(true);
  });

  test("stop when the signal fires", async () => {
    const controller = new AbortController();
    const encoded = await encode(codec, [large]);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (const chunk of cut(encoded, 100)) {
        yield chunk;
        controller.abort();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };

    const read = pipeline(
      source,
      codec.createDecoder(),
      async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
      },
      { signal: controller.signal },
    );

    await expect(read).rejects.toMatchObject({ name: "AbortError" });
  });

  test("are decoded in bounded memory, however small they are packed", async () => {
    const zeros = Buffer.alloc(1_000_000);
    const encoded = await encode(
      codec,
      Array.from({ length: 100 }, () => zeros),
    );
    let total = 0;
    let largest = 0;
    let waiting = 0;
    const decoder = codec.createDecoder();

    await pipeline(cut(encoded, 65_536), decoder, async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) {
        total += chunk.length;
        largest = Math.max(largest, chunk.length);
        waiting = Math.max(waiting, decoder.readableLength);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });

    expect(total).toBe(100_000_000);
    expect(largest).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(waiting).toBeLessThanOrEqual(8 * 1024 * 1024);
  });
});

describe.each(Object.entries(programs))("the program for %s", (name, { program, variants }) => {
  const codec = codecNamed(name);

  test.each(variants)("writes what we read, with %s", async (options) => {
    const encoded = run(program, [...options.split(" "), "-c"], large);

    expect((await through(codec.createDecoder(), cut(encoded, 100_000))).equals(large)).toBe(true);
    expect((await throughReleased(codec.createDecoder(), cut(encoded, 100_000))).equals(large)).toBe(true);
  });
});

describe.each(writing.filter((name) => name in programs))("the program for %s", (name) => {
  test("reads what we write, at any level", async () => {
    for (const level of [undefined, 3]) {
      const encoded = await encode(codecNamed(name), cut(large, 100_000), level);
      expect(run(programs[name]!.program, ["-dc"], encoded).equals(large)).toBe(true);
    }
    expect(run(programs[name]!.program, ["-dc"], await encode(codecNamed(name), []))).toEqual(
      Buffer.alloc(0),
    );
  });
});

test("zstd's skippable frames are skipped", async () => {
  const skippable = Buffer.of(0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const empty = Buffer.of(0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0);
  const frame = await encode(codecNamed("zstd"), [hard]);

  const decoded = await decode(
    codecNamed("zstd"),
    Buffer.concat([skippable, frame, empty, frame, skippable]),
  );

  expect(decoded).toEqual(Buffer.concat([hard, hard]));
});

test("gzip writes exactly one member, since Barman reads no more of a base backup", async () => {
  const encoded = await encode(codecNamed("gzip"), cut(large, 100_000));
  const script =
    "import sys, zlib; d = zlib.decompressobj(31); d.decompress(sys.stdin.buffer.read()); print(d.eof, len(d.unused_data))";

  expect(run("python3", ["-c", script], encoded).toString()).toBe("True 0\n");
});

test("a codec is found by its name and by its extension", () => {
  for (const name of codecNames) {
    const codec = codecNamed(name);
    expect(codec.name).toBe(name);
    expect(codecForExtension(codec.extension)).toBe(codec);
  }
  expect(codecForExtension(".zip")).toBeUndefined();
  expect(() => codecNamed("brotli")).toThrow('there is no compression "brotli"');
});

test.each([
  ["base/20261121T090727/data.tar.gz", "base/20261121T090727/data.tar", "gzip"],
  ["000000010000000000000001", "000000010000000000000001", "none"],
  ["000000010000000000000001.partial", "000000010000000000000001.partial", "none"],
  ["000000010000000000000001.00000028.backup.zst", "000000010000000000000001.00000028.backup", "zstd"],
  ["00000002.history.snappy", "00000002.history", "snappy"],
])("%s is %s with %s", (key, stem, name) => {
  const split = splitCodecExtension(key);

  expect([split.stem, split.codec.name]).toEqual([stem, name]);
});
