import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { parseServerName } from "../repository/server-name.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import type { RestorePart } from "./backup-parts.ts";
import { heldControlPath } from "./marker.ts";
import { placeInDataDirectory } from "./members.ts";
import { tarOf, type SampleMember } from "./testing/tar.ts";
import { TreeWriter } from "./tree-writer.ts";
import { unpackArchives } from "./unpack.ts";

interface Attempt extends AsyncDisposable {
  readonly root: string;
  /** Unpacks archives, `data.tar.gz`, `data_0001.tar.gz` and so on; `change` falsifies a part as it is stored. */
  unpack(
    archives: readonly (readonly SampleMember[])[],
    options?: {
      readonly foreign?: boolean;
      readonly change?: (stored: Buffer) => Buffer;
      readonly plain?: boolean;
    },
  ): Promise<void>;
}

async function attempt(): Promise<Attempt> {
  const home = await mkdtemp(join(tmpdir(), "tidemark-unpack-"));
  const root = join(home, "data");
  await mkdir(root);
  await mkdir(join(home, "store"));
  const store = await openFileStore({ root: join(home, "store") });
  const repository = { name: "r", server: parseServerName("srv"), store, log: silentLog };
  return {
    root,
    unpack: async (
      archives,
      { foreign = false, change = (stored: Buffer) => stored, plain = false } = {},
    ) => {
      const parts: RestorePart[] = [];
      for (const [index, members] of archives.entries()) {
        const tar = tarOf(members);
        const whole = plain ? tar : gzipSync(tar);
        const stored = change(whole);
        const key = `srv/base/x/data_${index}.tar${plain ? "" : ".gz"}`;
        await store.put(key, [stored]);
        parts.push({
          key,
          name: key.slice(11),
          archive: "data",
          index,
          codec: plain ? "none" : "gzip",
          storedBytes: stored.length,
          sha256: foreign ? undefined : createHash("sha256").update(whole).digest("hex"),
          tarBytes: undefined,
        });
      }
      const writer = new TreeWriter({ root, owner: undefined, placeOf: placeInDataDirectory });
      const unit = (own: readonly RestorePart[]) =>
        ({ archive: "data", overwrite: foreign, copies: [{ repository, parts: own }] }) as const;
      await unpackArchives({
        archives: [{ archive: "data", ways: [foreign ? [unit(parts)] : parts.map((part) => unit([part]))] }],
        writerOf: () => writer,
        clear: async () => writer.takeBackAll([]),
        concurrency: 3,
        onBytes: () => undefined,
        onReplaced: () => undefined,
      });
      writer.finish();
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

const corrupt = (message: RegExp) =>
  expect.objectContaining({ code: "object-corrupt", message: expect.stringMatching(message) as string });

describe("unpacking", () => {
  test("files of every size arrive whole, with parents and modes, and pg_control under another name", async () => {
    await using here = await attempt();
    const large = Buffer.alloc(3_000_001, "0123456789abcdef");

    await here.unpack([
      [
        { path: ".", kind: "directory", mode: 0o750 },
        { path: "./PG_VERSION", content: "17\n", mode: 0o644 },
        { path: "base/5/large", content: large },
        { path: "base/5/empty" },
        { path: "restore.sh", content: "#!/bin/sh\n", mode: 0o755 },
      ],
      [{ path: "global/pg_control", content: "control" }],
    ]);

    expect((await readFile(join(here.root, "base/5/large"))).equals(large)).toBe(true);
    expect(await readFile(join(here.root, "base/5/empty"))).toHaveLength(0);
    expect(await readFile(join(here.root, heldControlPath), "utf8")).toBe("control");
    expect(await readdir(join(here.root, "global"))).toEqual(["pg_control.tidemark-restore"]);
    const modeOf = async (path: string) => ((await lstat(join(here.root, path))).mode & 0o777).toString(8);
    expect(await Promise.all(["", "PG_VERSION", "base", "base/5/large", "restore.sh"].map(modeOf))).toEqual([
      "750",
      "640",
      "700",
      "600",
      "750",
    ]);
  });

  test("what would mislead the server is left out, links are made last, and pg_wal is a plain directory", async () => {
    await using here = await attempt();

    await here.unpack([
      [
        { path: "tablespace_map", content: "1 /old\n" },
        { path: "standby.signal" },
        { path: "recovery.conf" },
        { path: "postmaster.pid", content: "1\n" },
        { path: ".tidemark-restore.json", content: "{}" },
        { path: "pg_wal", kind: "symlink", linkPath: "/somewhere" },
        { path: "pg_wal/000000010000000000000001", content: "stale" },
        { path: "pg_wal/archive_status", kind: "directory" },
        { path: "pg_tblspc/16384", kind: "symlink", linkPath: "/old" },
        { path: "server.key", kind: "symlink", linkPath: "/etc/ssl/server.key" },
        { path: "postgresql.conf", kind: "symlink", linkPath: "/etc/postgresql/postgresql.conf" },
        { path: "nested/tablespace_map", content: "kept" },
      ],
    ]);

    expect((await readdir(here.root)).toSorted()).toEqual(["nested", "pg_wal", "server.key"]);
    expect(await readdir(join(here.root, "pg_wal"))).toEqual(["archive_status"]);
    expect(await readlink(join(here.root, "server.key"))).toBe("/etc/ssl/server.key");
  });

  test("in another writer's backup the later of two members counts, across parts too; in ours it is damage", async () => {
    const archives = [
      [
        { path: "backup_label", content: "stale" },
        { path: "a", content: "first" },
      ],
      [
        { path: "./backup_label", content: "right" },
        { path: "a", kind: "symlink" as const, linkPath: "b" },
        { path: "a", content: "last" },
      ],
    ];
    await using foreign = await attempt();
    await foreign.unpack(archives, { foreign: true });
    expect(await readFile(join(foreign.root, "backup_label"), "utf8")).toBe("right");
    expect(await readFile(join(foreign.root, "a"), "utf8")).toBe("last");

    await using ours = await attempt();
    await expect(ours.unpack(archives)).rejects.toThrow(corrupt(/is in the backup twice/));
  });
});

describe("what an archive must not do", () => {
  test.each<[string, SampleMember[], RegExp]>([
    ["leave the directory", [{ path: "../evil", content: "x" }], /leads out of the directory/],
    ["leave it in the middle", [{ path: "base/../../evil", content: "x" }], /leads out of the directory/],
    ["name an absolute path", [{ path: "/etc/evil", content: "x" }], /is absolute/],
  ])("%s", async (_, members, message) => {
    await using here = await attempt();

    await expect(here.unpack([members])).rejects.toThrow(corrupt(message));
    expect(await readdir(join(here.root, ".."))).toEqual(["data", "store"]);
  });

  test("write through a link it brought itself", async () => {
    await using here = await attempt();
    const outside = join(here.root, "../outside");
    await mkdir(outside);

    const unpacking = here.unpack([
      [
        { path: "extra", kind: "symlink", linkPath: outside },
        { path: "extra/evil", content: "x" },
      ],
    ]);

    await expect(unpacking).rejects.toThrow(/could not make the link/);
    expect(await readdir(outside)).toEqual([]);
  });

  test("hold hard links or devices", async () => {
    await using here = await attempt();
    const header = tarOf([{ path: "evil" }]);
    const asType = (flag: string) => (stored: Buffer) => {
      const changed = Buffer.from(stored);
      changed.write(flag, 156, "latin1");
      const sum = changed
        .subarray(0, 512)
        .reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
      changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
      return changed;
    };
    expect(header.length).toBe(1536);

    const options = { plain: true, foreign: true };
    await expect(here.unpack([[{ path: "evil" }]], { ...options, change: asType("1") })).rejects.toThrow(
      /is a hard link/,
    );
    await expect(here.unpack([[{ path: "evil" }]], { ...options, change: asType("3") })).rejects.toThrow(
      /is a device/,
    );
  });
});

describe("a damaged object is refused by name", () => {
  const members: SampleMember[] = [
    { path: "PG_VERSION", content: "17\n" },
    { path: "base/1/1", content: "x".repeat(5000) },
  ];

  test.each<[string, (stored: Buffer) => Buffer]>([
    ["cut", (stored) => stored.subarray(0, stored.length - 20)],
    ["with a flipped byte", (stored) => stored.map((byte, at) => (at === 60 ? byte ^ 1 : byte)) as Buffer],
    ["with something behind it", (stored) => Buffer.concat([stored, stored])],
    ["empty", () => Buffer.alloc(0)],
  ])("%s", async (_, change) => {
    for (const foreign of [false, true]) {
      await using here = await attempt();
      const outcome = here.unpack([members], { change, foreign });
      await expect(outcome).rejects.toThrow(corrupt(/could not unpack ".*srv\/base\/x\/data_0\.tar\.gz"/));
    }
  });

  test("a plain tar of ours by its checksum, one of others at least by its end mark", async () => {
    await using ours = await attempt();
    const flip = (stored: Buffer) => stored.map((byte, at) => (at === 1600 ? byte ^ 1 : byte)) as Buffer;
    await expect(ours.unpack([members], { plain: true, change: flip })).rejects.toThrow(
      corrupt(/its SHA-256 is/),
    );

    await using theirs = await attempt();
    const cut = (stored: Buffer) => stored.subarray(0, stored.length - 1024);
    await expect(theirs.unpack([members], { plain: true, foreign: true, change: cut })).rejects.toThrow(
      corrupt(/ends early/),
    );

    // Cut between two members of the compression, and of the archive: only its end mark is missing.
    await using compressed = await attempt();
    const first = () => gzipSync(tarOf(members.slice(0, 1)).subarray(0, -1024));
    await expect(compressed.unpack([members], { foreign: true, change: first })).rejects.toThrow(
      corrupt(/ends early/),
    );
  });
});

test.each([false, true])(
  "large files arrive whole while their memory is given back; plain: %s",
  async (plain) => {
    await using unpacking = await attempt();
    const archives = [0, 1, 2].map((archive) =>
      [0, 1, 2].map((file): SampleMember => {
        const content = Buffer.alloc(9 * 1024 * 1024 + 512 * file, `${archive}/${file} `);
        return { path: `base/5/${archive}${file}`, content };
      }),
    );

    await unpacking.unpack(archives, { plain });

    for (const { path, content } of archives.flat()) {
      expect((await readFile(join(unpacking.root, path))).equals(Buffer.from(content ?? ""))).toBe(true);
    }
  },
);
