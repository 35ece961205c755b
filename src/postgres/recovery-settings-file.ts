import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../common/errors.ts";
import { syncDirectory, writeDurableFile } from "../common/durable-file.ts";
import { recoveryParameters } from "./recovery-settings.ts";
import {
  editSettingsFile,
  giveTo,
  ownerOf,
  withoutAssignments,
  withoutSettingsBlock,
  withSettingsBlock,
  type Settings,
} from "./settings-file.ts";

const block = "recovery";

/**
 * Prepares a restored data directory for archive recovery: settings into `postgresql.auto.conf`, which is read last and
 * so wins over `postgresql.conf`, then `recovery.signal`. An earlier call's settings and any other recovery settings in
 * that file are replaced; `standby.signal` is removed, because it would win over `recovery.signal`.
 *
 * A crash between the steps leaves a directory without `recovery.signal`, which was already not startable as a
 * recovered server; calling it again completes it.
 */
export async function writeRecoverySettings(dataDirectory: string, settings: Settings): Promise<void> {
  await editSettingsFile(join(dataDirectory, "postgresql.auto.conf"), dataDirectory, (text) =>
    withSettingsBlock(
      withoutAssignments(withoutSettingsBlock(text, block), recoveryParameters),
      block,
      settings,
    ),
  );
  await removeFile(dataDirectory, "standby.signal");
  const signal = join(dataDirectory, "recovery.signal");
  await writeDurableFile(signal, "");
  await giveTo(signal, await ownerOf(dataDirectory));
}

/**
 * Takes the recovery settings out of `postgresql.auto.conf` once the server has promoted. ALTER SYSTEM rewrites that
 * file without comments, so the markers may be gone while the lines are not: they are removed by name as well. Safe to
 * repeat.
 */
export async function removeRecoverySettings(dataDirectory: string): Promise<void> {
  await editSettingsFile(join(dataDirectory, "postgresql.auto.conf"), dataDirectory, (text) =>
    withoutAssignments(withoutSettingsBlock(text, block), recoveryParameters),
  );
}

async function removeFile(dataDirectory: string, name: string): Promise<void> {
  const path = join(dataDirectory, name);
  try {
    await rm(path, { force: true });
    await syncDirectory(dataDirectory);
  } catch (error) {
    throw fileError("remove", path, error);
  }
}
