import { execFileSync } from "node:child_process";
import { mkdtemp, rm, readFile, readlink, stat, writeFile, mkdir, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asyncSource, cut } from "../testing/streams.ts";
import type { TarEntry, TarMember } from "./entry.ts";
import { encodeTarHeader, tarEnd, tarPadding } from "./header.ts";
import { readTar, type TarReadOptions } from "./reader.ts";

interface Item {
  readonly entry: TarEntry;
  readonly body: Uint8Array;
}

function encodeArchive(items: readonly Item[]): Buffer {
  const blocks = items.flatMap(({ entry, body }) => [encodeTarHeader(entry), body, tarPadding(body.length)]);
  const members = Buffer.concat(blocks);
  return Buffer.concat([members, tarEnd(members.length)]);
}

async function decode(
  chunks: Iterable<Uint8Array>,
  options?: TarReadOptions,
): Promise<{ member: TarMember; body: string }[]> {
  const found: { member: TarMember; body: string }[] = [];
  for await (const { member, body } of readTar(asyncSource(chunks), options)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    found.push({ member, body: Buffer.concat(pieces).toString("latin1") });
  }
  return found;
}

const owner = { uid: 26, gid: 26, userName: "postgres", groupName: "postgres", mtimeSeconds: 1_795_252_047 };

function file(path: string, text: string, more: Partial<TarEntry> = {}): Item {
  const body = Buffer.from(text, "latin1");
  return {
    entry: { kind: "file", path, mode: 0o600, ...owner, ...more, sizeBytes: body.length } as TarEntry,
    body,
  };
}

function directory(path: string): Item {
  return { entry: { kind: "directory", path, mode: 0o700, ...owner }, body: Buffer.alloc(0) };
}

function link(path: string, linkPath: string): Item {
  return { entry: { kind: "symlink", path, mode: 0o777, ...owner, linkPath }, body: Buffer.alloc(0) };
}

const longStep = "s".repeat(90);
const story: readonly Item[] = [
  directory("."),
  file("./PG_VERSION", "18\n"),
  directory("base"),
  file("base/1259", "x".repeat(8192)),
  file("empty", ""),
  file("block", "b".repeat(512)),
  file(`${longStep}/${longStep}/short`, "cut at a slash"),
  file("n".repeat(101), "too long for its field"),
  file(`${longStep}/${longStep}/${longStep}/${longStep}`, "too long for both fields"),
  directory(`d${"e".repeat(99)}`),
  file("naïve/ключ", "not ASCII", { uid: 3_000_000, gid: 2_097_152, userName: "Jürgen" }),
  link("pg_log", "/var/log/postgresql"),
  link("far", `/${"t".repeat(150)}`),
  file("old", "before 1970", { mtimeSeconds: -5 }),
];

describe("an archive written and read back", () => {
  test("gives the same members and bytes however its chunks are cut", async () => {
    const archive = encodeArchive(story);
    const expected = story.map(({ entry, body }) => ({
      member: entry,
      body: Buffer.from(body).toString("latin1"),
    }));

    for (const size of [1, 7, 511, 512, 513, 10_240, archive.length]) {
      expect(await decode(cut(archive, size))).toEqual(expected);
    }
  });

  test("gives the same members when it is split in two at any byte", async () => {
    const archive = encodeArchive([directory("."), file("n".repeat(101), "abc"), file("b", "")]);
    const expected = await decode([archive]);

    for (let at = 1; at < archive.length; at++) {
      expect(await decode([archive.subarray(0, at), archive.subarray(at)])).toEqual(expected);
    }
  });

  test("round trips any entry through any split", async () => {
    const step = fc
      .string({ unit: "binary", minLength: 1, maxLength: 120 })
      .map((text) => text.replace(/[/\0]/g, "_"));
    const path = fc.array(step, { minLength: 1, maxLength: 5 }).map((steps) => steps.join("/"));
    const owners = fc.record({
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.nat(),
      gid: fc.nat(),
      userName: fc.string({ maxLength: 40 }).map((text) => text.replaceAll("\0", "_")),
      groupName: fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => text.replaceAll("\0", "_")),
      mtimeSeconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    });
    const item = fc
      .tuple(
        fc.constantFrom("file", "directory", "symlink"),
        path,
        path,
        owners,
        fc.uint8Array({ maxLength: 1500 }),
      )
      .map(([kind, path, linkPath, more, body]): Item => {
        if (kind === "file") return { entry: { kind, path, ...more, sizeBytes: body.length }, body };
        const none = new Uint8Array(0);
        if (kind === "directory") return { entry: { kind, path, ...more }, body: none };
        return { entry: { kind: "symlink", path, ...more, linkPath }, body: none };
      });

    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 6 }),
        fc.integer({ min: 1, max: 3000 }),
        async (items, size) => {
          const decoded = await decode(cut(encodeArchive(items), size));
          expect(decoded.map(({ member }) => member)).toEqual(items.map(({ entry }) => entry));
          expect(decoded.map(({ body }) => body)).toEqual(
            items.map(({ body }) => Buffer.from(body).toString("latin1")),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("ends on a whole record", () => {
    for (const items of [[], story, [file("a", "x".repeat(9000))], [file("a", "x".repeat(9728))]]) {
      expect(encodeArchive(items).length % 10_240).toBe(0);
    }
  });

  test("passes over bodies that are not read", async () => {
    const paths: string[] = [];

    for await (const { member } of readTar(asyncSource(cut(encodeArchive(story), 100))))
      paths.push(member.path);

    expect(paths).toEqual(story.map(({ entry }) => entry.path));
  });

  test("holds sizes of 8 GiB and more in an extended header", async () => {
    const sizeBytes = 8 * 1024 ** 3;
    const header = encodeTarHeader({ kind: "file", path: "big", mode: 0o600, ...owner, sizeBytes });

    const first = await readTar(asyncSource([header])).next();

    expect(header.length).toBe(3 * 512);
    expect(first.value?.member).toMatchObject({ path: "big", sizeBytes });
  });
});

describe("a damaged archive", () => {
  const archive = encodeArchive([file("a", "x".repeat(700)), file("n".repeat(101), "tail")]);
  const membersEnd = 512 + 1024 + 3 * 512 + 512;

  test("is refused wherever it is cut, but between members", async () => {
    const taken: number[] = [];
    for (let at = 0; at < membersEnd; at++) {
      await decode([archive.subarray(0, at)]).then(
        () => taken.push(at),
        (error: unknown) => expect(error).toMatchObject({ code: "object-corrupt" }),
      );
    }

    expect(taken).toEqual([0, 512 + 1024]);
  });

  test("is refused between members too where the end marker is required", async () => {
    const options = { endMarker: "required" } as const;
    for (let at = 0; at < membersEnd + 1024; at++) {
      await expect(decode([archive.subarray(0, at)], options)).rejects.toMatchObject({
        code: "object-corrupt",
      });
    }
    expect(await decode([archive.subarray(0, membersEnd + 1024)], options)).toHaveLength(2);
  });

  test("is refused with the offset when a header's bytes are changed", async () => {
    for (const at of [0, 100, 130, 150, 156, 257, 511]) {
      const damaged = Buffer.from(archive);
      damaged[at] = (damaged[at] ?? 0) ^ 0x01;
      await expect(decode([damaged])).rejects.toThrow(/at offset 0 /);
    }
  });

  test("is refused when another one is appended to it, which would be lost unseen", async () => {
    await expect(decode([archive, archive])).rejects.toThrow(
      `damaged tar data: something else follows its end, at offset ${archive.length}`,
    );
  });

  test("is refused when it is no archive at all", async () => {
    await expect(decode([Buffer.from("-----BEGIN".repeat(100))])).rejects.toThrow(
      "damaged tar data: the header at offset 0 has no number at its byte 148",
    );
  });

  test("does not make the reader hold a huge extended header", async () => {
    const header = encodeTarHeader({ kind: "file", path: "x", mode: 0, ...owner, sizeBytes: 2 ** 31 });
    header[156] = "x".charCodeAt(0);
    const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
    header.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);

    await expect(decode([header])).rejects.toThrow(
      "the extended header at offset 0 says its size is 2147483648",
    );
  });
});

describe("other programs", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tidemark-tar-"));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test("GNU tar unpacks what we write", async () => {
    const path = join(folder, "ours.tar");
    const out = join(folder, "ours");
    await writeFile(path, encodeArchive([...story.slice(0, 6), ...story.slice(6)]));
    await mkdir(out);

    execFileSync("tar", ["-xf", path, "-C", out, "--no-same-owner"], { stdio: ["ignore", "pipe", "pipe"] });

    const unpacked = await Promise.all(
      story.map(async ({ entry }) => {
        const at = join(out, entry.path);
        if (entry.kind === "file") return readFile(at, "latin1");
        return entry.kind === "symlink" ? readlink(at) : (await stat(at)).isDirectory();
      }),
    );
    expect(unpacked).toEqual(
      story.map(({ entry, body }) => {
        if (entry.kind === "file") return Buffer.from(body).toString("latin1");
        return entry.kind === "symlink" ? entry.linkPath : true;
      }),
    );
  });

  test("Python's tarfile reads what we write as we meant it", async () => {
    const path = join(folder, "python.tar");
    await writeFile(path, encodeArchive(story));
    const script = [
      "import json, sys, tarfile",
      "t = tarfile.open(sys.argv[1])",
      "print(json.dumps([[m.name, m.mode, m.uid, m.gid, m.uname, m.gname, m.size, int(m.mtime), m.linkname] for m in t]))",
    ].join("\n");

    const seen = JSON.parse(
      execFileSync("python3", ["-c", script, path], {
        encoding: "utf8",
        env: { ...process.env, PYTHONUTF8: "1" },
      }),
    ) as unknown;

    expect(seen).toEqual(
      story.map(({ entry, body }) => [
        entry.path,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.userName,
        entry.groupName,
        body.length,
        entry.mtimeSeconds,
        entry.kind === "symlink" ? entry.linkPath : "",
      ]),
    );
  });

  test.each(["v7", "ustar", "gnu", "oldgnu", "pax"])("GNU tar's %s format is read", async (format) => {
    const tree = join(folder, `tree-${format}`);
    await mkdir(join(tree, "sub"), { recursive: true });
    await writeFile(join(tree, "sub", "small"), "hello");
    await writeFile(join(tree, "sub", "odd"), "y".repeat(1025));
    await symlink("sub/small", join(tree, "link"));
    const archive = execFileSync(
      "tar",
      ["-cf", "-", `--format=${format}`, "--owner=postgres:26", "--group=postgres:26", "-C", tree, "."],
      { maxBuffer: 10_000_000 },
    );
    const members = await decode(cut(archive, 1000));

    const byPath = new Map(members.map(({ member, body }) => [member.path, { member, body }]));
    expect(byPath.get(".")?.member.kind).toBe("directory");
    expect(byPath.get("./sub")?.member.kind).toBe("directory");
    expect(byPath.get("./sub/small")).toMatchObject({
      member: { kind: "file", uid: 26, gid: 26 },
      body: "hello",
    });
    expect(byPath.get("./sub/odd")?.body).toBe("y".repeat(1025));
    expect(byPath.get("./link")?.member).toMatchObject({ kind: "symlink", linkPath: "sub/small" });
  });

  test.each(["gnu", "oldgnu", "pax"])(
    "GNU tar's long names and links in its %s format are read",
    async (format) => {
      const tree = join(folder, `long-${format}`);
      const deep = join("l".repeat(150), "m".repeat(150));
      await mkdir(join(tree, "l".repeat(150)), { recursive: true });
      await writeFile(join(tree, deep), "deep");
      await symlink("t".repeat(140), join(tree, "n".repeat(120)));
      await writeFile(join(tree, "ключ"), "key");

      const archive = execFileSync("tar", ["-cf", "-", `--format=${format}`, "-C", tree, "."]);
      const members = await decode(cut(archive, 1000));

      const byPath = new Map(members.map(({ member, body }) => [member.path, { member, body }]));
      expect(byPath.get(`./${deep}`)?.body).toBe("deep");
      expect(byPath.get(`./${"n".repeat(120)}`)?.member).toMatchObject({ linkPath: "t".repeat(140) });
      expect(byPath.get("./ключ")?.body).toBe("key");
    },
  );

  test("GNU's binary numbers are read", async () => {
    const tree = join(folder, "binary");
    await mkdir(tree);
    await writeFile(join(tree, "f"), "owned");

    const archive = execFileSync("tar", [
      "-cf",
      "-",
      "--format=gnu",
      "--owner=a:4000000",
      "--mtime=@-100",
      "-C",
      tree,
      "f",
    ]);

    expect(await decode([archive])).toMatchObject([
      { member: { uid: 4_000_000, mtimeSeconds: -100 }, body: "owned" },
    ]);
  });

  test("sparse files are refused rather than unpacked wrongly", async () => {
    const tree = join(folder, "sparse");
    await mkdir(tree);
    execFileSync("truncate", ["-s", "1M", join(tree, "f")]);

    for (const format of ["gnu", "pax"]) {
      const archive = execFileSync("tar", ["-cSf", "-", `--format=${format}`, "-C", tree, "f"]);
      await expect(decode([archive])).rejects.toThrow("is a sparse file, which is not supported");
    }
  });
});
