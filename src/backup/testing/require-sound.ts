import { finishedBackups, readCatalogue } from "../../repository/catalogue.ts";
import { readBackupManifest } from "../../repository/backup-manifest.ts";
import type { Repository } from "../../repository/repository.ts";
import { requireParts } from "../commit.ts";

/** Every visible backup has all its parts; throws otherwise. Returns how many there are. */
export async function requireSound(repository: Repository): Promise<number> {
  const finished = finishedBackups(await readCatalogue(repository));
  for (const { id } of finished) {
    const manifest = await readBackupManifest(repository, id);
    if (manifest === undefined) throw new Error(`backup ${id} has no manifest`);
    await requireParts(repository, id, manifest, new AbortController().signal);
  }
  return finished.length;
}
