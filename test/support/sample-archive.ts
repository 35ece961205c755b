import { createHash } from "node:crypto";
import { zstdCompressSync, constants, gzipSync } from "node:zlib";
import { makeSegment, segmentName, testSystem } from "../../src/archive/testing/wal-files.ts";
import { silentLog } from "../../src/common/log.ts";
import { mib } from "../../src/common/units.ts";
import { formatBackupInfo, digestBackupInfo } from "../../src/repository/backup-info-text.ts";
import { formatBackupManifest } from "../../src/repository/backup-manifest.ts";
import type { BackupId } from "../../src/repository/backup-id.ts";
import { writeIdentity } from "../../src/repository/identity.ts";
import { backupInfoKey, backupManifestKey, backupPrefix } from "../../src/repository/keys.ts";
import type { Repository } from "../../src/repository/repository.ts";
import { parseServerName } from "../../src/repository/server-name.ts";
import { backupEntry } from "../../src/repository/testing/plan-facts.ts";
import { openFileStore } from "../../src/storage/file/file-store.ts";

/** A repository in a directory, as nobody filled it yet. */
export async function emptyRepository(root: string, name: string, server = "main"): Promise<Repository> {
  return {
    name,
    server: parseServerName(server),
    store: await openFileStore({ root, createRoot: true }),
    log: silentLog,
  };
}

/** Stores made-up segments of a MiB, as our archiver does. */
export async function putSegments(
  { store, server }: Repository,
  from: number,
  to: number,
  system = testSystem,
): Promise<void> {
  for (let number = from; number <= to; number++) {
    const name = segmentName(number);
    const bytes = zstdCompressSync(makeSegment({ name, system }), {
      params: { [constants.ZSTD_c_checksumFlag]: 1 },
    });
    await store.put(`${server}/wals/${name.slice(0, 16)}/${name}.zst`, [bytes]);
  }
}

export async function putIdentity(repository: Repository, system = testSystem): Promise<void> {
  const identity = { systemIdentifier: system, walSegmentSizeBytes: mib, walCodecs: ["zstd"] } as const;
  await writeIdentity(repository, identity, { ifAbsent: true });
}

/** A finished backup of November 2026 in two parts of made-up content, which begins with the segment of its day's number. */
export async function putBackup(
  { store, server }: Repository,
  day: number,
  {
    codec = "zstd",
    system = testSystem,
  }: { readonly codec?: "zstd" | "gzip"; readonly system?: typeof testSystem } = {},
): Promise<BackupId> {
  const digits = String(day).padStart(2, "0");
  const position = (offset: number) => `0/${(day * mib + offset).toString(16).toUpperCase()}`;
  const { id, info } = backupEntry(
    {
      id: `202611${digits}T000000`,
      begin: position(0x28),
      end: position(mib + 0x138),
      endTime: `2026-11-${digits}T00:00:00Z`,
    },
    mib,
  );
  const parts = [0, 1].map((index) => {
    const tar = Buffer.alloc(200_000, `${id} ${index} `);
    const stored = codec === "zstd" ? zstdCompressSync(tar) : gzipSync(tar);
    const name = `data${index === 0 ? "" : "_0001"}.tar${codec === "zstd" ? ".zst" : ".gz"}`;
    const sha256 = createHash("sha256").update(stored).digest("hex");
    return {
      stored,
      told: { name, archive: "data", storedBytes: stored.length, tarBytes: tar.length, sha256 },
    };
  });
  for (const { stored, told } of parts) await store.put(`${backupPrefix(server, id)}${told.name}`, [stored]);
  const text = formatBackupInfo({ ...info, systemIdentifier: system });
  const manifest = formatBackupManifest({
    format: 1,
    tidemarkVersion: "test",
    parts: parts.map(({ told }) => told),
    fileCount: 0,
    dataBytes: 0,
    pagesVerified: false,
    damagedPages: [],
    damagedPageCount: 0,
    fromStandby: false,
    tags: {},
    infoSha256: digestBackupInfo(text),
  });
  await store.put(backupManifestKey(server, id), [Buffer.from(manifest)]);
  await store.put(backupInfoKey(server, id), [Buffer.from(text)]);
  return id;
}

/** Everything below a server's name, with its content. */
export async function contentOf({ store, server }: Repository): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for await (const entry of store.list(`${server}/`)) {
    if (entry.kind !== "object") continue;
    const hash = createHash("md5");
    const opened = await store.get(entry.key);
    if (opened !== undefined) for await (const chunk of opened.body) hash.update(chunk);
    content[entry.key.slice(server.length + 1)] = hash.digest("hex");
  }
  return content;
}
