import { lstatSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { editSettingsFile } from "../postgres/settings-file.ts";
import { withoutForeignPlaces, type Include } from "./configuration.ts";

/**
 * Takes everything out of a restored configuration that leads out of its directory: settings, in the included files too
 * (the last assignment wins, wherever it stands), and includes of files elsewhere, which may be those of the origin, or
 * of files that are gone, over which the server would not start. Safe to repeat. Returns what was taken out, for people.
 */
export async function removeForeignPlaces(dataDirectory: string): Promise<string[]> {
  const notes: string[] = [];
  const root = realpathSync(dataDirectory);
  const seen = new Set<string>();
  // As they are named, because PostgreSQL takes paths in them as relative to that; edited where they really are.
  const pending = [join(root, "postgresql.conf"), join(root, "postgresql.auto.conf")];
  for (let path = pending.shift(); path !== undefined; path = pending.shift()) {
    const file = path;
    const real = realPath(file);
    if (real === undefined || seen.has(real)) continue;
    seen.add(real);
    const found: Include[] = [];
    await editSettingsFile(real, dataDirectory, (text) => {
      const { text: edited, takenOut } = withoutForeignPlaces(text, (include) => {
        if (!mayStay(root, resolve(dirname(file), include.value), include)) return false;
        found.push(include);
        return true;
      });
      notes.push(...takenOut.map((line) => `taken out of ${relative(root, file)}: ${line}`));
      return edited;
    });
    for (const { name, value } of found) {
      const included = resolve(dirname(file), value);
      pending.push(...(name === "include_dir" ? configurationFilesIn(root, included, notes) : [included]));
    }
  }
  return notes;
}

function mayStay(root: string, path: string, { name }: Include): boolean {
  const real = realPath(path);
  if (real === undefined) return name === "include_if_exists" && isBelow(root, path);
  return isBelow(root, real);
}

const isBelow = (root: string, path: string): boolean => path.startsWith(`${root}${sep}`);

/** Undefined when nothing is there. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw fileError("read", path, error);
  }
}

/** What `include_dir` reads (`GetConfFilesInDir`), after links that lead out of the restored directory were removed. */
function configurationFilesIn(root: string, directory: string, notes: string[]): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".conf") && !name.startsWith("."));
    return names.sort().flatMap((name) => {
      const path = join(directory, name);
      const real = realPath(path);
      if (real !== undefined && isBelow(root, real)) return lstatSync(real).isFile() ? [path] : [];
      rmSync(path);
      notes.push(`removed ${relative(root, path)}: it was a link to a file outside the restored directory`);
      return [];
    });
  } catch (error) {
    throw fileError("read", directory, error);
  }
}
