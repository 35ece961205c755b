import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog, silentLog } from "../common/log.ts";
import { systemIdentifier } from "../postgres/system-identifier.ts";
import { fixtureNames, readFixture } from "../postgres/testing/fixtures.ts";
import { parseWalPageHeader } from "../postgres/wal-page-header.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { claimRepository } from "./claim.ts";
import { ClaimNote } from "./claim-note.ts";
import { readIdentity } from "./identity.ts";
import type { Repository } from "./repository.ts";
import { parseServerName } from "./server-name.ts";

let root: string;
let store: ObjectStore;
let repository: Repository;
const ours = { systemIdentifier: systemIdentifier(7n), walSegmentSizeBytes: 16_777_216 };
const put = async (key: string, content: string | Buffer) =>
  store.put(`pg1/${key}`, [Buffer.from(content as string)]);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "claim-"));
  store = await openFileStore({ root });
  repository = { name: "main", server: parseServerName("pg1"), store, log: silentLog };
});
afterEach(async () => rm(root, { recursive: true, force: true }));

describe("claiming a repository", () => {
  it("makes an empty one ours, and a second time changes nothing", async () => {
    const first = await claimRepository(repository, { ...ours, walCodec: "zstd" });
    const second = await claimRepository(repository, { ...ours, walCodec: "zstd" });

    expect(first).toEqual({ ...ours, walCodecs: ["zstd"] });
    expect(second).toEqual(first);
    expect(await readIdentity(repository)).toEqual(first);
  });

  it("adds a codec to the list before it is used", async () => {
    await claimRepository(repository, { ...ours, walCodec: "gzip" });

    const claimed = await claimRepository(repository, { ...ours, walCodec: "zstd" });

    expect(claimed.walCodecs).toEqual(["gzip", "zstd"]);
  });

  it("refuses another system, and another segment size", async () => {
    await claimRepository(repository, ours);

    await expect(
      claimRepository(repository, { ...ours, systemIdentifier: systemIdentifier(8n) }),
    ).rejects.toMatchObject({ code: "system-mismatch", message: expect.stringContaining("system 7, but") });
    await expect(
      claimRepository(repository, { ...ours, walSegmentSizeBytes: 1_048_576 }),
    ).rejects.toMatchObject({ code: "system-mismatch" });
  });

  it("gives one of several systems that start at once the repository, and refuses the others", async () => {
    const claims = await Promise.allSettled(
      [1n, 2n, 3n, 4n].map(async (id) =>
        claimRepository(repository, { ...ours, systemIdentifier: systemIdentifier(id) }),
      ),
    );

    const won = claims.filter((claim) => claim.status === "fulfilled");
    expect(won).toHaveLength(1);
    expect(await readIdentity(repository)).toEqual(won[0]?.value);
  });

  it("takes over an archive by Barman whose backup names our system, with the codecs it used", async () => {
    await put("base/20250101T000000/backup.info", "status=FAILED\nsystemid=7\n");
    await put("base/20250102T000000/data.tar", "no backup.info: killed");
    await put("wals/00000002.history.gz", gzipSync("1\t0/1\tx\n"));

    expect(await claimRepository(repository, ours)).toEqual({ ...ours, walCodecs: ["gzip"] });
  });

  it("refuses an archive whose backup names another system", async () => {
    await put("base/20250101T000000/backup.info", "status=FAILED\nsystemid=9\n");

    await expect(claimRepository(repository, ours)).rejects.toMatchObject({ code: "system-mismatch" });
    expect(await readIdentity(repository)).toBeUndefined();
  });

  it("knows an archive without backups by the header of its WAL", async () => {
    const name = (await fixtureNames(16)).find((file) => /^[0-9A-F]{24}$/.test(file)) ?? "";
    const segment = await readFixture(16, name);
    const header = parseWalPageHeader(segment);
    const writer = {
      systemIdentifier: systemIdentifier(header?.systemIdentifier ?? 0n),
      walSegmentSizeBytes: header?.segmentSizeBytes ?? 0,
    };
    await put(`wals/${name.slice(0, 16)}/${name}.gz`, gzipSync(segment));

    await expect(claimRepository(repository, ours)).rejects.toMatchObject({ code: "system-mismatch" });
    expect(await claimRepository(repository, writer)).toEqual({ ...writer, walCodecs: ["gzip"] });
  });

  it("refuses an archive whose only WAL cannot tell whose it is", async () => {
    await put("wals/0000000100000000/000000010000000000000001.gz", "not gzip");

    await expect(claimRepository(repository, ours)).rejects.toMatchObject({
      code: "system-mismatch",
      message: expect.stringContaining("000000010000000000000001.gz"),
    });
  });

  it("does not begin an empty repository that was claimed before: its disk is not mounted", async () => {
    const claimNote = new ClaimNote(join(root, "spool"), { url: store.url, server: "pg1" });
    const noted = { ...repository, claimNote };
    const first = await claimRepository(noted, { ...ours, walCodec: "zstd" });
    expect(await claimNote.exists()).toBe(true);
    await rename(join(root, "pg1"), join(root, "not-mounted"));

    await expect(claimRepository(noted, ours)).rejects.toMatchObject({
      code: "store-missing",
      message: `repository "${root}/pg1" has no identity, but it was claimed before, as "${claimNote.path}" notes`,
      hint: `Is its disk mounted? Mount it, and archiving goes on. If the repository was emptied on purpose, remove "${claimNote.path}".`,
    });

    await rename(join(root, "not-mounted"), join(root, "pg1"));
    expect(await claimRepository(noted, ours)).toEqual(first);
    await rm(join(root, "pg1"), { recursive: true });
    await rm(claimNote.path);
    expect(await claimRepository(noted, ours)).toEqual({ ...ours, walCodecs: [] });
  });

  it("writes a lost identity anew when what the repository holds tells that it is the one", async () => {
    const claimNote = new ClaimNote(join(root, "spool"), { url: store.url, server: "pg1" });
    const noted = { ...repository, claimNote };
    await claimRepository(noted, ours);
    await put("base/20250101T000000/backup.info", "status=FAILED\nsystemid=7\n");
    await rm(join(root, "pg1", "x-tidemark"), { recursive: true });

    expect(await claimRepository(noted, ours)).toEqual({ ...ours, walCodecs: [] });
  });

  it("goes on when the note cannot be written, and says so", async () => {
    const warnings: string[] = [];
    const log = createLog((level, message) => warnings.push(`${level}: ${message}`));
    await writeFile(join(root, "spool"), "a file where the folder should be");
    const claimNote = new ClaimNote(join(root, "spool"), { url: store.url, server: "pg1" });

    await claimRepository({ ...repository, log, claimNote }, ours);

    expect(warnings).toEqual([
      "warn: could not note that this repository is claimed: a disk that is not mounted would go unnoticed",
    ]);
  });
});
