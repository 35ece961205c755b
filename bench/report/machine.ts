import { execFile } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { ServerBinaries } from "../../src/postgres/server-binaries.ts";

/** What the numbers depend on; nothing that names the machine. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGb: number;
  readonly system: string;
  readonly kernel: string;
  readonly fileSystem: string;
  /** Processes that wanted to run, averaged over the minute before the start; other work disturbs. */
  readonly loadBefore: number;
  /** Whether CPU time and memory could be measured. */
  readonly controlGroup: boolean;
  readonly versions: Readonly<Record<string, string>>;
}

const execute = promisify(execFile);

export async function describeMachine(options: {
  readonly workDirectory: string;
  readonly binaries: ServerBinaries;
  readonly controlGroup: boolean;
}): Promise<Machine> {
  const [first] = cpus();
  const loads = await readFile("/proc/loadavg", "utf8").catch(() => "");
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const own = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  };
  const versions: Record<string, string> = { Tidemark: own.version, Node: process.versions.node };
  versions["PostgreSQL"] = options.binaries.version;
  versions["pgBackRest"] = (await firstLine("pgbackrest", "version")).replace(/^pgBackRest /, "");
  versions["barman-cloud"] = (await firstLine("barman-cloud-backup", "--version")).replace(/^.* /, "");
  versions["Ceph gateway"] = /version (\S+)/.exec(await firstLine("radosgw", "--version"))?.[1] ?? "";
  return {
    cores: cpus().length,
    processor: first?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    system: /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? process.platform,
    kernel: (await firstLine("uname", "-r")).replace(/-.*$/, ""),
    fileSystem: await firstLine("stat", "-f", "-c", "%T", options.workDirectory),
    loadBefore: Number(loads.split(" ")[0] ?? Number.NaN),
    controlGroup: options.controlGroup,
    versions: Object.fromEntries(Object.entries(versions).filter(([, version]) => version !== "")),
  };
}

/** Empty where the program is not installed. */
async function firstLine(program: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await execute(program, args).catch(() => ({ stdout: "", stderr: "" }));
  return (stdout || stderr).split("\n")[0]?.trim() ?? "";
}
