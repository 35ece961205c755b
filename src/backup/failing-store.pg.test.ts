import { describe, expect, it } from "vitest";
import { readCatalogue } from "../repository/catalogue.ts";
import { basePrefix } from "../repository/keys.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import type { BackupProgress } from "./progress.ts";
import { backupLab, type LabRepository } from "./testing/backup-lab.ts";
import { requireSound } from "./testing/require-sound.ts";

async function wipe(lab: LabRepository): Promise<void> {
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
