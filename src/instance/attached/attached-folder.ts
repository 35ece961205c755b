import { join, resolve } from "node:path";
import type { ServedFolder } from "../process/process-file.ts";

/** Everything of ours about one server that is not ours; it belongs to the user that PostgreSQL runs as. */
export interface AttachedFolder extends ServedFolder {
  /** `server.json`: what is to be done (`attached-spec.ts`); written by the control plane. */
  readonly spec: string;
  /** For `tidemark wal push`, which `archive_command` runs while no process serves the folder. */
  readonly pushConfiguration: string;
  /** A file for each base backup that was asked for and has not been forgotten. */
  readonly backups: string;
  /** What the process says. */
  readonly processLog: string;
}

export function attachedFolder(path: string): AttachedFolder {
  const root = resolve(path);
  return {
    root,
    spec: join(root, "server.json"),
    process: join(root, "process.json"),
    pushConfiguration: join(root, "archive.json"),
    backups: join(root, "backups"),
    processLog: join(root, "agent.log"),
  };
}
