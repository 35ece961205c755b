import { describe, expect, it } from "vitest";
import { finishedBackups, readCatalogue } from "../repository/catalogue.ts";
import { readBackupManifest } from "../repository/backup-manifest.ts";
import { basePrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { testFolder } from "../postgres/testing/test-server.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { requireParts } from "./commit.ts";
import type { BackupProgress } from "./progress.ts";
import { backupLab, type BackupLab } from "./testing/backup-lab.ts";

/** Every visible backup has all its parts; throws otherwise. Returns how many there are. */
async function requireSound(repository: Repository): Promise<number> {
  const finished = finishedBackups(await readCatalogue(repository));
  for (const { id } of finished) {
    const manifest = await readBackupManifest(repository, id);
    if (manifest === undefined) throw new Error(`backup ${id} has no manifest`);
    await requireParts(repository, id, manifest, new AbortController().signal);
  }
  return finished.length;
}

async function wipe(lab: BackupLab): Promise<void> {
  const keys: string[] = [];
  for await (const entry of lab.store.list(basePrefix(lab.repository.server))) {
    if (entry.kind === "object") keys.push(entry.key);
  }
  await lab.store.delete(keys);
}

describe.each(["unavailable", "lost-answer"] as const)("a store whose calls fail: %s", (kind) => {
  it("never holds a visible backup with a hole, whichever call fails, and the next run is clean", async () => {
    await using lab = await backupLab();
    const clean = faultyStore(lab.store);
    // One lane, so that the calls come in nearly the same order every time.
    const options = { lanes: 1, codec: "zstd", uploadPartBytes: 1_000_000 } as const;
    await lab.backUp(options, { repositories: [{ ...lab.repository, store: clean }] });
    await wipe(lab);
    expect(clean.calls).toBeGreaterThan(15);

    let failed = 0;
    for (let call = 1; call <= clean.calls; call++) {
      const store = faultyStore(lab.store, { kind, failAtCall: call });
      const outcome = await lab.backUp(options, { repositories: [{ ...lab.repository, store }] }).then(
        () => "done",
        (error: { readonly code?: string }) => error.code,
      );
      const visible = await requireSound(lab.repository);
      if (outcome !== "done") failed++;
      // A call of the tidying up may fail without harm.
      expect([
        [call, "done", 1],
        [call, "store-unavailable", 0],
      ]).toContainEqual([call, outcome, visible]);
      await wipe(lab);
    }

    await lab.backUp(options);
    expect(failed).toBeGreaterThan(10);
    expect((await readCatalogue(lab.repository)).map((entry) => entry.kind)).toEqual(["done"]);
  });
});

describe("two repositories", () => {
  it("get the same backup from one reading", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    const store = await openFileStore({ root: await folder.make("second") });
    const second: Repository = { ...lab.repository, name: "second", store };
    // WAL goes to the first one only, so the wait is left out.
    const archive = { waitFor: async () => undefined };

    const { id } = await lab.backUp({}, { repositories: [lab.repository, second], archive });

    const [one, two] = await Promise.all(
      [lab.repository, second].map(async (repository) => readBackupManifest(repository, id)),
    );
    expect(one).toEqual(two);
    expect(await requireSound(lab.repository)).toBe(1);
    expect(await requireSound(second)).toBe(1);
  });
});

describe("an archive that gets no WAL", () => {
  it("keeps the backup invisible, and the error says what to look at", async () => {
    await using lab = await backupLab({ settings: { archive_command: "false" } });

    await expect(lab.backUp({ walTimeoutMs: 500 })).rejects.toMatchObject({
      code: "wal-timeout",
      hint: expect.stringContaining("archive_command last failed for"),
    });

    expect(await readCatalogue(lab.repository)).toEqual([]);
  });

  it("is refused at once when archive_mode is off", async () => {
    await using lab = await backupLab({ settings: { archive_mode: "off" } });

    await expect(lab.backUp()).rejects.toMatchObject({ code: "postgres-settings" });
  });
});

describe("a backup that is stopped", () => {
  it("leaves nothing behind, and the server takes the next one in the same session", async () => {
    await using lab = await backupLab();
    await using connection = await lab.server.connect();
    for (const at of ["starting", "copying", "stopping", "waiting-for-wal", "finishing"]) {
      const stop = new AbortController();
      const progress = ({ phase }: BackupProgress) => {
        if (phase === at) stop.abort();
      };

      await expect(lab.backUp({}, { connection, signal: stop.signal, progress })).rejects.toMatchObject({
        code: "aborted",
      });
      expect([at, await readCatalogue(lab.repository)]).toEqual([at, []]);
    }

    await lab.backUp({}, { connection });
    expect(await requireSound(lab.repository)).toBe(1);
  });
});
