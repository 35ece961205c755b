import { closeSync, constants, fstatSync, openSync, read, readSync, type Stats } from "node:fs";
import { fileError, systemErrorCode } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { kib } from "../common/units.ts";
import type { ArchivePart } from "./archive-part.ts";
import { slotBytes, type LaneSlot } from "./lane-buffers.ts";
import type { OwnerNames } from "./owner-names.ts";
import type { PageCheck, PageRun } from "./page-check.ts";
import type { Progress } from "./progress.ts";
import { fileMember } from "./tar-member.ts";
import type { FileEntry } from "./walk.ts";

/**
 * Copies one file of a running server into an archive. It may grow (what the header announced is stored), shrink (zeros
 * take the place of what is gone) or vanish (it is left out): replay from the backup's start puts each right, because
 * whoever changed it wrote WAL. Any other trouble fails the backup.
 */
export interface CopyContext {
  readonly names: OwnerNames;
  /** Undefined when the cluster has no page checksums. */
  readonly pages: PageCheck | undefined;
  readonly progress: Progress;
  readonly log: Log;
}

/** Where an archive's entries stand in reports: empty for the data directory, `<oid>/` for a tablespace. */
export interface CopyItem {
  readonly file: FileEntry;
  readonly reportPrefix: string;
}

/** Up to this size a file is read by synchronous calls: 10 µs each, where the thread pool takes 150. */
const synchronousBytes = 64 * kib;

export async function copyFile(item: CopyItem, part: ArchivePart, context: CopyContext): Promise<void> {
  const { file } = item;
  const fd = openSource(file.source);
  if (fd === undefined) {
    context.log.debug("left out a file that has vanished", { path: file.source });
    return;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return;
    await part.addHeader(fileMember(file.path, stats.size, stats, context.names));
    const source: Source = { ...item, fd, stats };
    if (stats.size <= slotBytes) await copySmall(source, part, context);
    else await copyLarge(source, part, context);
    await part.pad(stats.size);
    context.progress.addFile();
  } catch (error) {
    throw fileError("back up", file.source, error);
  } finally {
    closeSync(fd);
  }
}

interface Source extends CopyItem {
  readonly fd: number;
  readonly stats: Stats;
}

/** Undefined when it has vanished. */
function openSource(path: string): number | undefined {
  try {
    // Not through a link, and without waiting for the writer of a pipe, should either have taken its place.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("open", path, error);
  }
}

/** A file that fits a slot stands beside others in it. */
async function copySmall(source: Source, part: ArchivePart, context: CopyContext): Promise<void> {
  const { fd, stats } = source;
  if (stats.size === 0) return;
  const room = await part.reserve(stats.size);
  const got =
    stats.size <= synchronousBytes ? readFullySync(fd, room) : await readFully(fd, room, room.length, 0);
  room.fill(0, got);
  const run = pageRun(source, context, 0);
  if (run !== undefined) {
    const bad = context.pages?.verifyElsewhere(room.subarray(0, got), run) ?? [];
    if (bad.length > 0) await context.pages?.recheck(run, bad, room);
  }
  part.filled(room.length);
  context.progress.addBytes(room.length);
}

async function copyLarge(source: Source, part: ArchivePart, context: CopyContext): Promise<void> {
  const { fd, stats } = source;
  for (let position = 0; position < stats.size;) {
    const slot = await part.emptySlot();
    const length = Math.min(slot.bytes.length, stats.size - position);
    const got = await readFully(fd, slot.bytes, length, position);
    slot.bytes.fill(0, got, length);
    await verifySlot(slot, got, pageRun(source, context, position), context);
    part.filled(length);
    context.progress.addBytes(length);
    position += length;
  }
}

async function verifySlot(
  slot: LaneSlot,
  got: number,
  run: PageRun | undefined,
  { pages }: CopyContext,
): Promise<void> {
  if (run === undefined || pages === undefined) return;
  const bad = slot.verifier.verify(got, pages.firstBlock(run), pages.changed);
  if (bad.length > 0) await pages.recheck(run, bad, slot.bytes);
}

function pageRun(
  { fd, file, reportPrefix }: Source,
  { pages }: CopyContext,
  positionBytes: number,
): PageRun | undefined {
  const { relation } = file;
  if (pages === undefined || relation === undefined) return undefined;
  return { fd, path: `${reportPrefix}${file.path}`, relation, positionBytes };
}

function readFullySync(fd: number, buffer: Buffer): number {
  let got = 0;
  while (got < buffer.length) {
    const bytes = readSync(fd, buffer, got, buffer.length - got, got);
    if (bytes === 0) break;
    got += bytes;
  }
  return got;
}

/** Reads `length` bytes, fewer only at the end of the file. */
async function readFully(fd: number, buffer: Buffer, length: number, position: number): Promise<number> {
  let got = 0;
  while (got < length) {
    const bytes = await readOnce(fd, buffer, got, length - got, position + got);
    if (bytes === 0) break;
    got += bytes;
  }
  return got;
}

async function readOnce(
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, length, position, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  });
}
