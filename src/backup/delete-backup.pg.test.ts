import { expect, it } from "vitest";
import { readCatalogue, readCatalogueEntry } from "../repository/catalogue.ts";
import { readWalInventory } from "../repository/wal-inventory.ts";
import { deleteBackup } from "./delete-backup.ts";
import { keepBackup, releaseKeep } from "./keep.ts";
import { backupLab } from "./testing/backup-lab.ts";

it("deletes the oldest backup with the WAL that only it needed, after saying so, but no kept and no last one", async () => {
  await using lab = await backupLab();
  const first = await lab.backUp();
  await lab.server.sql("SELECT pg_switch_wal()");
  const second = await lab.backUp();
  const request = { repository: lab.repository, backup: first.id, now: new Date() };

  await keepBackup(lab.repository, first.id, "full");
  await expect(deleteBackup(request)).rejects.toMatchObject({
    code: "backup-kept",
    message: expect.stringContaining('keep mark "full"'),
  });
  await releaseKeep(lab.repository, first.id);
  const planned = await deleteBackup({ ...request, dryRun: true });
  expect((await readCatalogueEntry(lab.repository, first.id)).kind).toBe("done");
  const deleted = await deleteBackup(request);

  expect(deleted).toEqual(planned);
  expect((await readCatalogue(lab.repository)).map(({ id }) => id)).toEqual([second.id]);
  const { segments } = await readWalInventory(lab.repository);
  expect(segments.has(first.info.beginWal)).toBe(false);
  expect(segments.has(second.info.beginWal)).toBe(true);
  await expect(deleteBackup({ ...request, backup: "latest" })).rejects.toMatchObject({
    code: "backup-kept",
    message: expect.stringContaining("it is the last good one"),
  });
  await deleteBackup({ ...request, backup: "latest", force: true });
  expect(await readCatalogue(lab.repository)).toEqual([]);
});
