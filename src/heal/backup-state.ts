import { backupInfoContradictions } from "../repository/backup-info-check.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { FinishedEntry } from "../repository/catalogue.ts";
import { backupInfoKey, backupManifestKey, backupPrefix } from "../repository/keys.ts";
import type { Damage, HealInventory, StoredBackup } from "./inventory.ts";

/** What of one stored backup can be relied on: pure. */
export interface BackupState {
  readonly inventory: HealInventory;
  readonly backup: StoredBackup;
  /** When `backup.info` is good. */
  readonly entry: FinishedEntry | undefined;
  /** Why `backup.info` is not, where there is one. */
  readonly infoProblem: string | undefined;
  /** When it is good; backups of other tools have none. */
  readonly manifest: BackupManifest | undefined;
  readonly manifestProblem: string | undefined;
  /** What was found to be damaged, by its name in the folder. */
  readonly damaged: ReadonlyMap<string, string>;
}

const infoName = "backup.info";
export const manifestName = "x-tidemark/manifest.json";

export function judgeBackup(
  inventory: HealInventory,
  backup: StoredBackup,
  damages: readonly Damage[],
): BackupState {
  const { server, name: repository } = inventory.repository;
  const prefix = backupPrefix(server, backup.id);
  const damaged = new Map(
    damages
      .filter((damage) => damage.repository === repository && damage.key.startsWith(prefix))
      .map(({ key, reason }) => [key.slice(prefix.length), reason]),
  );
  const manifestProblem =
    damaged.get(backupManifestKey(server, backup.id).slice(prefix.length)) ?? problemOfManifest(backup);
  const manifest =
    manifestProblem === undefined && typeof backup.manifest === "object" ? backup.manifest : undefined;
  const infoProblem =
    damaged.get(backupInfoKey(server, backup.id).slice(prefix.length)) ?? problemOfInfo(backup, manifest);
  const { entry } = backup;
  return {
    inventory,
    backup,
    entry: infoProblem === undefined && entry.kind === "done" ? entry : undefined,
    infoProblem,
    manifest,
    manifestProblem,
    damaged,
  };
}

function problemOfManifest({ manifest, objects, infoSha256 }: StoredBackup): string | undefined {
  if (typeof manifest === "string") return manifest;
  if (manifest === undefined || manifest.infoSha256 === infoSha256) return undefined;
  // Of two that do not fit each other the manifest is wrong when the parts are not its own.
  const isOfOthers = manifest.parts.every(({ name, storedBytes }) => objects.get(name) !== storedBytes);
  return isOfOthers ? "it is that of another backup" : undefined;
}

function problemOfInfo(
  { entry, infoSha256 }: StoredBackup,
  manifest: BackupManifest | undefined,
): string | undefined {
  switch (entry.kind) {
    case "incomplete":
    case "failed":
      return undefined;
    case "unreadable":
      return entry.error;
    case "done":
      break;
  }
  const told = manifest?.infoSha256;
  if (told !== undefined && told !== infoSha256) return "it does not have the SHA-256 that the manifest says";
  return told === undefined ? backupInfoContradictions(entry.info)[0] : undefined;
}

/** Parts that a manifest names and that are missing here, of another size, or damaged, and why. */
export function badParts(
  { backup, damaged }: BackupState,
  manifest: BackupManifest,
): ReadonlyMap<string, string> {
  const bad = new Map<string, string>();
  for (const { name, storedBytes } of manifest.parts) {
    const found = backup.objects.get(name);
    const reason =
      found === undefined
        ? "it is missing"
        : found === storedBytes
          ? damaged.get(name)
          : `it has ${found} bytes, but the manifest says ${storedBytes}`;
    if (reason !== undefined) bad.set(name, reason);
  }
  return bad;
}

/** Names of what holds the data of a backup without a manifest. */
export function plainParts({ backup }: BackupState): readonly string[] {
  return [...backup.objects.keys()].filter((name) => name !== infoName && !name.includes("/"));
}
