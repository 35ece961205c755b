import { EngineError } from "../../common/errors.ts";
import type { DirectoryRestoreOptions } from "./base-restore.ts";
import type { ClusterRestoreOptions } from "./cluster-restore.ts";

export type RestoreOptions = DirectoryRestoreOptions & Partial<ClusterRestoreOptions>;

/** Options that one of the two does not have, by the names that commander gives them, and their flags. */
const onlyOfDirectories = {
  toLatest: "--to-latest",
  toTime: "--to-time",
  toLsn: "--to-lsn",
  toXid: "--to-xid",
  toName: "--to-name",
  toImmediate: "--to-immediate",
  tablespace: "--tablespace",
  start: "--start",
  stopAfter: "--stop-after",
  concurrency: "--concurrency",
  binDirectory: "--bin-directory",
  clean: "--clean",
  config: "--config",
  repo: "--repo",
  server: "--server",
  endpointUrl: "--endpoint-url",
  region: "--region",
  pathStyle: "--path-style",
  caFile: "--ca-file",
  identityFile: "--identity-file",
  passphraseFile: "--passphrase-file",
} as const satisfies Partial<Record<keyof RestoreOptions, string>>;
const onlyOfClusters = {
  namespace: "--namespace",
  state: "--state",
  socket: "--socket",
} as const satisfies Partial<Record<keyof RestoreOptions, string>>;

/** Of options of directories that always have a value. */
const usualValues = { action: "promote", archiving: "off", output: "text" } as const;

/**
 * `tidemark restore`: with `--to` and `--as` a cluster's data as a new cluster, by the control plane; otherwise a repository's
 * into a directory, as `tidemark base restore`. Throws `usage` for what belongs to the other one.
 */
export async function run(what: string, options: RestoreOptions, signal: AbortSignal): Promise<void> {
  const { to, as, wait } = options;
  if (to === undefined && as === undefined) {
    requireRepository(what, options);
    refuse(options, onlyOfClusters, "a directory is restored without a control plane");
    if (wait === false) throw misplaced("--no-wait", "a directory is restored without a control plane");
    await (await import("./base-restore.ts")).run(what, options, signal);
    return;
  }
  if (to === undefined || as === undefined) {
    throw new EngineError("usage", `${to === undefined ? "--to" : "--as"} is missing`, {
      hint: `Say to which moment, and what the new cluster is called: tidemark restore ${what} --to latest --as NAME.`,
    });
  }
  const why = "with --to and --as the control plane restores a cluster";
  refuse(options, onlyOfDirectories, why);
  for (const [name, usual] of Object.entries(usualValues)) {
    if (options[name as keyof typeof usualValues] !== usual) throw misplaced(`--${name}`, why);
  }
  await (
    await import("./cluster-restore.ts")
  ).run(what, { ...options, to, as, wait: wait !== false }, signal);
}

/** Whoever means a cluster would otherwise be asked for a repository. */
function requireRepository(what: string, { repo, config, clean }: RestoreOptions): void {
  if (repo !== undefined || config !== undefined || process.env["TIDEMARK_CONFIG"] !== undefined) return;
  if (clean === true) return;
  throw new EngineError("usage", `it is not said what "${what}" is to be restored from`, {
    hint: "For a cluster give --to and --as; for a directory the repository, with --repo and --server or --config.",
  });
}

function refuse(
  options: RestoreOptions,
  flags: Readonly<Partial<Record<keyof RestoreOptions, string>>>,
  why: string,
): void {
  for (const [name, flag] of Object.entries(flags)) {
    if (options[name as keyof RestoreOptions] !== undefined) throw misplaced(flag, why);
  }
}

function misplaced(flag: string, why: string): EngineError {
  return new EngineError("usage", `${flag} has no meaning here: ${why}`, {
    hint: 'See "tidemark restore --help".',
  });
}
