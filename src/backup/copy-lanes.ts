import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "../common/abort.ts";
import { faultPoint } from "../common/fault-point.ts";
import { encodeTarHeader } from "../codec/tar/header.ts";
import { copyFile, type CopyContext } from "./copy-file.ts";
import { LaneBuffers } from "./lane-buffers.ts";
import type { OpenPart, PartWriter } from "./part-writer.ts";
import type { Publication } from "./publication.ts";
import { directoryMember, linkMember } from "./tar-member.ts";
import type { WorkItem } from "./work-queue.ts";

export interface CopyLanesOptions {
  readonly lanes: number;
  readonly items: Iterable<WorkItem, void, undefined>;
  readonly parts: PartWriter;
  readonly maxPartBytes: number;
  readonly blockSizeBytes: number;
  readonly context: CopyContext;
  /** Fires also when one lane fails. */
  readonly signal: AbortSignal;
  /** Called by the first lane that fails, to stop the others. */
  readonly fail: (error: unknown) => void;
}

/** Small files are copied synchronously; after so many the event loop gets a turn, for the other lanes' sake. */
const itemsPerTurn = 64;

/** An item with the part number that it must start, if it must. */
interface Assignment {
  readonly item: WorkItem;
  readonly index: number | undefined;
}

/**
 * Copies all files into archive parts, several parts at a time. A lane takes what comes next until its part is full, or
 * until the next item belongs to another archive; so no lane idles while there is work. When this settles, nothing is
 * being read or compressed any more; what was published may still be on its way.
 */
export async function copyInLanes(options: CopyLanesOptions): Promise<void> {
  const iterator = options.items[Symbol.iterator]();
  const next = (): Assignment | undefined => {
    const step = iterator.next();
    if (step.done === true) return undefined;
    const item = step.value;
    // The preamble must be at the start of part 0, whichever lane opens a part first: its number is taken here.
    return { item, index: item.kind === "preamble" ? options.parts.takeIndex(item.archive) : undefined };
  };
  const lanes = Array.from({ length: options.lanes }, async () => runLane(options, next));
  const settled = await Promise.allSettled(lanes);
  iterator.return?.();
  const failed = settled.find((lane) => lane.status === "rejected");
  // The signal carries the first failure; the other lanes fail because of it.
  throwIfAborted(options.signal);
  if (failed !== undefined) throw failed.reason;
}

async function runLane(options: CopyLanesOptions, next: () => Assignment | undefined): Promise<void> {
  const { parts, signal } = options;
  let buffers: LaneBuffers | undefined;
  let open: OpenPart | undefined;
  let last: Publication | undefined;
  let count = 0;
  // Stores may take long to make an object durable: the lane goes on with its next part meanwhile.
  const publish = async (full: OpenPart): Promise<Publication> => {
    await full.part.end();
    // One at a time: another part's upload takes memory.
    if (last !== undefined) await parts.passAfter(last, full);
    return parts.publish(full);
  };
  try {
    for (let work = next(); work !== undefined; work = next()) {
      throwIfAborted(signal);
      const { item } = work;
      if (open !== undefined && mustClose(open, work, options.maxPartBytes)) {
        last = await publish(open);
        open = undefined;
      }
      buffers ??= new LaneBuffers(options.blockSizeBytes);
      open ??= parts.open(
        item.archive,
        work.index ?? parts.takeIndex(item.archive),
        buffers,
        item.kind === "file" ? item.sizeBytes : 0,
      );
      await copyItem(item, open, options.context);
      if (++count % itemsPerTurn === 0) await setImmediate();
      if (count === 2 * itemsPerTurn) faultPoint("backup:mid-part");
    }
    if (open !== undefined) await publish(open);
  } catch (error) {
    options.fail(error);
    if (open !== undefined) await parts.abort(open);
    throw error;
  }
}

/**
 * A part that was opened for small files was planned for at most one more file of up to its limit; a larger file gets
 * a part of its own, whose upload is planned for it.
 */
function mustClose(open: OpenPart, { item, index }: Assignment, maxPartBytes: number): boolean {
  if (index !== undefined || open.archive !== item.archive) return true;
  if (open.part.tarBytes >= maxPartBytes) return true;
  return item.kind === "file" && item.sizeBytes > maxPartBytes;
}

async function copyItem(item: WorkItem, { part, archive }: OpenPart, context: CopyContext): Promise<void> {
  if (item.kind === "file") {
    await copyFile({ file: item.file, reportPrefix: archive === "data" ? "" : `${archive}/` }, part, context);
    return;
  }
  for (const entry of item.entries) {
    const member =
      entry.kind === "directory" ? directoryMember(entry, context.names) : linkMember(entry, context.names);
    await part.addBytes(encodeTarHeader(member));
  }
}
