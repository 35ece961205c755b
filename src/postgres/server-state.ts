import { readFile, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { isAlive } from "./server-process-tree.ts";

/** What postmaster.pid says (src/include/utils/pidfile.h); a field is absent until the server has written its line. */
export interface PostmasterFile {
  readonly pid: number;
  readonly dataDirectory: string | undefined;
  /** Seconds since 1970. */
  readonly startedAtSeconds: number | undefined;
  readonly port: number | undefined;
  readonly socketDirectory: string | undefined;
  readonly status: ServerStatus | undefined;
}

/** `ready` accepts connections; `standby` is up in recovery with hot_standby off and accepts none. */
export type ServerStatus = "starting" | "stopping" | "ready" | "standby";

const statuses: readonly ServerStatus[] = ["starting", "stopping", "ready", "standby"];

/** @throws EngineError `postgres-format` when the first line is no process ID. */
export function parsePostmasterFile(text: string): PostmasterFile {
  const lines = text.split("\n").map((line) => line.trim());
  // A single-user server writes its process ID with a minus sign.
  const pid = Math.abs(Number(lines[0]));
  if (!/^-?\d+$/.test(lines[0] ?? "") || pid === 0) {
    throw new EngineError("postgres-format", `postmaster.pid starts with "${lines[0]}", not a process ID`);
  }
  const numberAt = (index: number) => (/^\d+$/.test(lines[index] ?? "") ? Number(lines[index]) : undefined);
  return {
    pid,
    dataDirectory: lines[1] || undefined,
    startedAtSeconds: numberAt(2),
    port: numberAt(3),
    socketDirectory: lines[4] || undefined,
    status: statuses.find((status) => status === lines[7]),
  };
}

export type ClusterState =
  | { readonly kind: "stopped" }
  /** postmaster.pid was left by a server that did not stop orderly. The next start deals with it. */
  | { readonly kind: "crashed"; readonly file: PostmasterFile }
  | { readonly kind: "running"; readonly file: PostmasterFile };

/** Whether a server runs on this data directory, whoever started it. */
export async function clusterState(dataDirectory: string): Promise<ClusterState> {
  const file = await readPostmasterFile(dataDirectory);
  if (file === undefined) return { kind: "stopped" };
  const running = (await isAlive(file.pid)) && (await mayWorkIn(file.pid, dataDirectory));
  return { kind: running ? "running" : "crashed", file };
}

/** Undefined when there is none, or when the server is writing it just now. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | undefined> {
  const path = join(dataDirectory, "postmaster.pid");
  try {
    const text = await readFile(path, "utf8");
    return text === "" ? undefined : parsePostmasterFile(text);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

/**
 * False when the process is certainly something else that got the same number, for example after a reboot: a server
 * always works in its data directory. Where we may not look, the answer is true, the safe one.
 */
async function mayWorkIn(pid: number, dataDirectory: string): Promise<boolean> {
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(dataDirectory));
  } catch {
    return true;
  }
}
