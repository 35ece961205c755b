import { constants, lchown, open, stat } from "node:fs/promises";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { writeDurableFile } from "../common/durable-file.ts";

/**
 * PostgreSQL's configuration files: lines `name = 'value'`, the last one wins. We keep our lines in a block between two
 * marker comments, so that they can be replaced and removed without touching anybody else's.
 */

export type Settings = Readonly<Record<string, string>>;

const namePattern = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

/**
 * One line of a configuration file, escaped as GUC_scanstr (guc-file.l) reads it.
 *
 * @throws EngineError `usage` for a name that is no parameter name, and for a NUL in the value, which no server could hold.
 */
export function formatSetting(name: string, value: string): string {
  if (!namePattern.test(name)) {
    throw new EngineError("usage", `"${name}" is not the name of a PostgreSQL parameter`);
  }
  if (value.includes("\0")) {
    throw new EngineError("usage", `the value of "${name}" contains a NUL`);
  }
  // A bare line break would end the setting early and let the rest of the value be read as another one.
  const escaped = value
    .replaceAll("\\", "\\\\")
    .replaceAll("'", "''")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
  return `${name} = '${escaped}'`;
}

const startMarker = (block: string) => `# >>> tidemark ${block}: written by Tidemark, do not edit`;
const endMarker = (block: string) => `# <<< tidemark ${block}`;

/**
 * `text` with the settings as its last lines, in their order, in a block named `block`; an older block of that name
 * is gone.
 */
export function withSettingsBlock(text: string, block: string, settings: Settings): string {
  const rest = withoutSettingsBlock(text, block);
  const lines = Object.entries(settings).map(([name, value]) => formatSetting(name, value));
  const separator = rest === "" || rest.endsWith("\n") ? "" : "\n";
  return `${rest}${separator}${[startMarker(block), ...lines, endMarker(block)].join("\n")}\n`;
}

/** `text` without the block; a block whose end marker is lost ends where the file does. */
export function withoutSettingsBlock(text: string, block: string): string {
  const kept: string[] = [];
  let inside = false;
  for (const line of text.split("\n")) {
    if (line === startMarker(block)) inside = true;
    else if (inside && line === endMarker(block)) inside = false;
    else if (!inside) kept.push(line);
  }
  const joined = kept.join("\n");
  return joined === "" || joined.endsWith("\n") ? joined : `${joined}\n`;
}

const assignmentPattern = /^\s*([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)?)\s*(?:=|\s)/;

/** `text` without any line that sets one of `names` (of any case), wherever it stands. */
export function withoutAssignments(text: string, names: ReadonlySet<string>): string {
  return text
    .split("\n")
    .filter((line) => {
      const name = assignmentPattern.exec(line)?.[1];
      return name === undefined || !names.has(name.toLowerCase());
    })
    .join("\n");
}

/**
 * Changes a configuration file by `edit`, durably and atomically, keeping its owner and mode. A file that does not
 * exist counts as empty and is made with the owner of `directory` and mode 0600. Nothing is written when nothing changes.
 */
export async function editSettingsFile(
  path: string,
  directory: string,
  edit: (text: string) => string,
): Promise<void> {
  const before = await readIfPresent(path);
  const after = edit(before?.text ?? "");
  if (after === (before?.text ?? "")) return;
  const owner = before ?? (await ownerOf(directory));
  await writeDurableFile(path, after, before?.mode ?? 0o600);
  await giveTo(path, owner);
}

async function readIfPresent(path: string) {
  try {
    // As root in a folder of the database's user, a link would let that user have us read any file for it.
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { uid, gid, mode } = await file.stat();
    return { text: await file.readFile("utf8"), uid, gid, mode: mode & 0o777 };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

/** Owner and group of a file or folder, as `giveTo` takes them. */
export async function ownerOf(path: string): Promise<{ readonly uid: number; readonly gid: number }> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch (error) {
    throw fileError("read", path, error);
  }
}

/** Gives a file to the server's user; only root can, and only root needs to. */
export async function giveTo(path: string, owner: { readonly uid: number; readonly gid: number }) {
  if (process.getuid?.() !== 0) return;
  try {
    // Never through a link: see readIfPresent.
    await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    throw fileError("change the owner of", path, error);
  }
}
