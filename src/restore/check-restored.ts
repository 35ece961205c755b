import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { writeDurableFile } from "../common/durable-file.ts";
import { parseBackupLabel } from "../postgres/backup-label.ts";
import { parseControlFile, type ControlFile } from "../postgres/control-file.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { giveTo } from "../postgres/settings-file.ts";
import { serverMajor } from "../repository/backup-info.ts";
import type { FinishedEntry } from "../repository/catalogue.ts";
import { heldControlPath } from "./marker.ts";
import type { Owner } from "./tree-writer.ts";

/**
 * Reads the control file that was held back and holds it against `backup.info`: the same PostgreSQL system, major
 * version and segment size. Throws `object-corrupt` when there is none or it is another's.
 */
export async function checkControlFile(dataDirectory: string, backup: FinishedEntry): Promise<ControlFile> {
  const { id, info } = backup;
  const path = join(dataDirectory, heldControlPath);
  const bytes = await readRestored(path);
  if (bytes === undefined) throw damaged(id, "it holds no global/pg_control");
  const control = parseControlFile(bytes, "global/pg_control");
  if (info.systemIdentifier !== undefined && control.systemIdentifier !== info.systemIdentifier) {
    throw damaged(
      id,
      `its control file is of system ${control.systemIdentifier}, but backup.info says ${info.systemIdentifier}`,
    );
  }
  if (control.pgMajor !== serverMajor(info)) {
    throw damaged(
      id,
      `its control file is of PostgreSQL ${control.pgMajor}, but backup.info says ${serverMajor(info)}`,
    );
  }
  if (control.walSegmentSizeBytes !== info.walSegmentSizeBytes) {
    throw damaged(
      id,
      `its control file says WAL segments of ${control.walSegmentSizeBytes} bytes, but backup.info says ${info.walSegmentSizeBytes}`,
    );
  }
  return control;
}

/**
 * Makes sure of `backup_label`, without which the server would take the copy for a crashed server and end up with a
 * database that looks whole and is not. It is in the archive; else `backup.info` has its text. Throws `object-corrupt`.
 */
export async function checkBackupLabel(
  dataDirectory: string,
  backup: FinishedEntry,
  owner: Owner | undefined,
): Promise<void> {
  const { id, info } = backup;
  const path = join(dataDirectory, "backup_label");
  let text = (await readRestored(path))?.toString("utf8");
  if (text === undefined && info.backupLabel !== "") {
    text = info.backupLabel;
    await writeDurableFile(path, text);
    if (owner !== undefined) await giveTo(path, owner);
  }
  if (text === undefined) throw damaged(id, "it holds no backup_label");
  const { startLsn } = parseBackupLabel(text);
  if (startLsn !== info.beginLsn) {
    throw damaged(
      id,
      `its backup_label starts at ${formatLsn(startLsn)}, but backup.info says ${formatLsn(info.beginLsn)}`,
    );
  }
}

async function readRestored(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

function damaged(id: string, reason: string): EngineError {
  return new EngineError("object-corrupt", `backup "${id}" cannot be used: ${reason}`, {
    hint: "Choose another backup with --backup.",
  });
}
