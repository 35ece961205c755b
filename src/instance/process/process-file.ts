import { readFile, rm, writeFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { temporaryPathFor } from "../../common/durable-file.ts";
import { fileError } from "../../common/errors.ts";

/** A folder that one process serves. */
export interface ServedFolder {
  readonly root: string;
  /** `process.json`: which process serves it. */
  readonly process: string;
}

/** `process.json`: which process serves a folder, and where it listens. It stays when the process is killed. */
const processStateSchema = z.object({ pid: z.number(), socket: z.string(), startedAt: z.string() });
export type ProcessState = z.infer<typeof processStateSchema>;

/** Where a process listens unless that path is too long for a socket: `process.json` says where it really is. */
export function instanceSocket({ root }: ServedFolder): string {
  return join(root, "instance.sock");
}

/** Undefined when nobody serves the folder, or it cannot be read: whoever serves it writes it anew. */
export async function readProcessState(folder: ServedFolder): Promise<ProcessState | undefined> {
  try {
    return processStateSchema.parse(JSON.parse(await readFile(folder.process, "utf8")));
  } catch {
    return undefined;
  }
}

/** Replaces it. Not durable, because a crash of the machine ends the process as well. Throws `file-io`. */
export async function writeProcessState(folder: ServedFolder, state: ProcessState): Promise<void> {
  const temporary = temporaryPathFor(folder.process);
  try {
    await writeFile(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: "wx" });
    await rename(temporary, folder.process);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError("write", folder.process, error);
  }
}

export async function removeProcessState(folder: ServedFolder): Promise<void> {
  await rm(folder.process, { force: true });
}
