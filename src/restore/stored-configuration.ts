import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, isAbsolute, join, relative, sep } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { editSettingsFile } from "../postgres/settings-file.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";

type ConfigurationPlaces = Pick<FinishedBackupInfo, "pgdata" | "configFile" | "hbaFile" | "identFile">;

/**
 * Puts the configuration that the origin used where the restored server looks for it. Files outside the data directory
 * were stored in the archive's root, under their own names; others may have other names inside. What stands under the
 * standard names then was not in use. Safe to repeat. Returns what was done, for people.
 */
export async function useStoredConfiguration(
  dataDirectory: string,
  info: ConfigurationPlaces,
): Promise<string[]> {
  const files = [
    ["postgresql.conf", info.configFile],
    ["pg_hba.conf", info.hbaFile],
    ["pg_ident.conf", info.identFile],
  ] as const;
  // All are read before any is written: one may have the other's standard name.
  const found = files.flatMap(([name, origin]) => {
    if (origin === undefined) return [];
    const stored = storedPaths(info.pgdata, origin).find((path) => isFileBelow(dataDirectory, path));
    if (stored === undefined || stored === name) return [];
    return [{ name, origin, stored, text: readText(join(dataDirectory, stored)) }];
  });
  for (const { name, text } of found) {
    await editSettingsFile(join(dataDirectory, name), dataDirectory, () => text);
  }
  return found.map(
    ({ name, origin, stored }) => `${name} is the backup's "${stored}", which the origin used as "${origin}"`,
  );
}

/** Where a file of the origin may lie in the archive, most likely first. */
function storedPaths(pgdata: string | undefined, origin: string): string[] {
  const path = pgdata === undefined ? "" : relative(pgdata, origin);
  const isInside = path !== "" && !path.startsWith(`..${sep}`) && !isAbsolute(path);
  return isInside ? [path, basename(origin)] : [basename(origin)];
}

/** A file of the restored directory itself: not one that a link leads to. */
function isFileBelow(dataDirectory: string, path: string): boolean {
  try {
    const full = join(realpathSync(dataDirectory), path);
    return lstatSync(full).isFile() && realpathSync(full) === full;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return false;
    throw fileError("look at", join(dataDirectory, path), error);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError("read", path, error);
  }
}
