import { lstat, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../common/errors.ts";
import type { ArchivePart } from "./archive-part.ts";
import type { BackupSource, OutsideFile } from "./backup-source.ts";
import { controlFilePath } from "./exclusions.ts";
import type { OwnerNames } from "./owner-names.ts";
import { fileMember } from "./tar-member.ts";

export interface LastFiles {
  /** As it was when all other files were copied, before the backup's end. */
  readonly control: Buffer;
  readonly label: { readonly text: string; readonly endTime: Date };
}

/**
 * Writes what must come after every other file: the control file, because a directory without one cannot be started;
 * configuration from outside; and the label, which only the end of the backup gives. `tablespace_map` is not stored:
 * restore makes the links from `backup.info`.
 */
export async function writeLastPart(
  part: ArchivePart,
  source: BackupSource,
  { control, label }: LastFiles,
  names: OwnerNames,
): Promise<number> {
  const controlStats = await lstat(join(source.dataDirectory, controlFilePath));
  await part.addHeader(fileMember(controlFilePath, control.length, controlStats, names));
  await part.addBytes(control);
  await part.pad(control.length);
  let fileBytes = control.length;
  for (const file of source.outsideFiles) fileBytes += await addOutsideFile(part, file, names);

  const labelBytes = Buffer.from(label.text, "utf8");
  const owner = await stat(source.dataDirectory);
  const labelStats = { mode: 0o644, uid: owner.uid, gid: owner.gid, mtimeMs: label.endTime.getTime() };
  await part.addHeader({
    ...fileMember("backup_label", labelBytes.length, labelStats, names),
    path: "backup_label",
  });
  await part.addBytes(labelBytes);
  await part.pad(labelBytes.length);
  return fileBytes + labelBytes.length;
}

async function addOutsideFile(part: ArchivePart, file: OutsideFile, names: OwnerNames): Promise<number> {
  try {
    const stats = await stat(file.source);
    const bytes = await readFile(file.source);
    await part.addHeader(fileMember(file.name, bytes.length, stats, names));
    await part.addBytes(bytes);
    await part.pad(bytes.length);
    return bytes.length;
  } catch (error) {
    throw fileError("back up", file.source, error);
  }
}
