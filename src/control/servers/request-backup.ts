import { EngineError } from "../../common/errors.ts";
import { requireJobId } from "../../instance/process/backup-jobs.ts";
import { backupPhases } from "../backups/backup-status.ts";
import { compactTimestamp } from "../backups/compact-timestamp.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, type ResourceKey } from "../resources/resource.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import { readServerStatus, type ServerBackup } from "./server-status.ts";

/**
 * Notes durably that a base backup of a Server is wanted; its status says what becomes of it. Gives the backup's name: the given
 * one, else the Server's with the time.
 *
 * @throws EngineError `resource-missing`; `usage` for a name that cannot be one; `resource-exists` for one that a backup of the
 * Server has.
 */
export function requestServerBackup(
  key: ResourceKey,
  given: { readonly store: ResourceStore; readonly name: string | undefined; readonly now: Date },
): string {
  const { store, now } = given;
  const resource = store.require(key);
  const { backups } = readServerStatus(resource.status);
  const name = given.name ?? `${key.name}-${compactTimestamp(now)}`;
  requireJobId(name);
  if (backups.some((backup) => backup.name === name)) {
    throw new EngineError("resource-exists", `${formatKey(key)} has a backup "${name}" already`, {
      hint: "Give it another name, or none.",
    });
  }
  const backup: ServerBackup = { name, createdAt: toTimestamp(now), phase: backupPhases.pending };
  const status = { ...resource.status, backups: [...backups, backup] };
  store.setStatus(key, status, { ifUid: resource.metadata.uid });
  return name;
}
