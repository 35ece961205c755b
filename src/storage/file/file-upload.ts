/** A large object being written into a directory: parts go to their place in one hidden file, which is renamed last. */
import { throwIfAborted } from "../../common/abort.ts";
import { mib } from "../../common/units.ts";
import type { CallOptions, ObjectInfo, ObjectUpload } from "../object-store.ts";
import { byteLength, PartLedger } from "../upload-parts.ts";
import type { TemporaryFile } from "./temporary-file.ts";

/**
 * After this many bytes the disk is told to start: the page cache would take a whole backup and the final sync would
 * then write all of it while nothing is being compressed.
 */
const writeBackBytes = 32 * mib;

export interface FileUploadParts {
  readonly file: TemporaryFile;
  readonly partBytes: number;
  readonly maxParts: number;
  /** Publishes the file under its key. */
  readonly publish: (options: CallOptions) => Promise<ObjectInfo>;
  /** Runs an action with the adapter's error translation. */
  readonly attempt: <T>(action: string, fn: () => Promise<T>) => Promise<T>;
}

export function createFileUpload(parts: FileUploadParts): ObjectUpload {
  const { file, partBytes, attempt } = parts;
  const ledger = new PartLedger<undefined>(partBytes, parts.maxParts);
  const writeBack = createWriteBack(file);
  let completed: ObjectInfo | undefined;
  /** By part, the write that was begun last. */
  const writing = new Map<number, Promise<void>>();

  return {
    writePart: async (index: number, pieces: readonly Uint8Array[], options: CallOptions = {}) => {
      const sizeBytes = byteLength(pieces);
      ledger.check(index, sizeBytes);
      await attempt(`write part ${index} of`, async () => {
        // One that was given up and still hangs in the system would write when it wakes up, over what is written now.
        const before = writing.get(index) ?? Promise.resolve();
        const write = before
          .catch(() => undefined)
          .then(async () => file.write(pieces, index * partBytes, options));
        writing.set(index, write);
        await write;
        if (writing.get(index) === write) writing.delete(index);
      });
      ledger.record(index, sizeBytes, undefined);
      writeBack.add(sizeBytes);
    },

    complete: async (options: CallOptions = {}) => {
      if (completed !== undefined) return completed;
      throwIfAborted(options.signal);
      ledger.finish();
      completed = await attempt("complete", async () => {
        await writeBack.settled();
        return parts.publish(options);
      });
      await file.dispose();
      return completed;
    },

    abort: async () => {
      await writeBack.settled();
      await attempt("abort", async () => file.dispose());
    },
  };
}

/** Runs `syncData` behind the writes, one at a time. Its failure is kept by the file and fails `complete`. */
function createWriteBack(file: TemporaryFile): { add(bytes: number): void; settled(): Promise<void> } {
  let dirtyBytes = 0;
  let running: Promise<void> | undefined;
  return {
    add(bytes) {
      dirtyBytes += bytes;
      if (running !== undefined || dirtyBytes < writeBackBytes) return;
      dirtyBytes = 0;
      const finished = (): void => {
        running = undefined;
      };
      running = file.syncData().then(finished, finished);
    },
    async settled() {
      await running;
    },
  };
}
