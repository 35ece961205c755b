import { chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatLsn } from "../../src/postgres/lsn.ts";
import { treeBytes } from "../measure/disk.ts";
import { run, type CommandLine } from "../measure/program.ts";
import type { Ability, Contender, OpenRepository, Place } from "./contender.ts";

interface Variant {
  readonly id: string;
  readonly title: string;
  readonly abilities: readonly Ability[];
  /** archive-async: a background process pushes ahead, and fetches ahead in recovery. */
  readonly async: boolean;
  /** repo-bundle: small files go into the repository together. */
  readonly bundle: boolean;
}

const variants: readonly Variant[] = [
  {
    id: "pgbackrest-sync",
    title: "pgBackRest",
    abilities: ["archive", "backup", "restore", "replay", "help"],
    async: false,
    bundle: false,
  },
  {
    id: "pgbackrest-async",
    title: "pgBackRest, async archive",
    abilities: ["archive", "replay"],
    async: true,
    bundle: false,
  },
  {
    id: "pgbackrest-bundle",
    title: "pgBackRest, bundles",
    abilities: ["backup"],
    async: false,
    bundle: true,
  },
];

const stanza = "bench";

/** pgBackRest on a directory, zst level 1, two processes, in each configuration that makes a difference. */
export function pgbackrestContenders(): Contender[] {
  return variants.map((variant) => ({
    id: variant.id,
    title: variant.title,
    store: "directory",
    ours: false,
    slow: false,
    abilities: new Set(variant.abilities),
    help: { program: "pgbackrest", args: ["help"] },
    open: (place) => openRepository(variant, place),
  }));
}

async function openRepository(variant: Variant, place: Place): Promise<OpenRepository> {
  const { workspace, cluster, group } = place;
  const { user } = workspace;
  const folder = await workspace.makeFresh(variant.id);
  const repository = join(folder, "repo");
  const config = join(folder, "pgbackrest.conf");
  for (const name of ["repo", "log", "lock", "spool"]) {
    await mkdir(join(folder, name));
    if (user !== undefined) await chown(join(folder, name), user.uid, user.gid);
  }
  await writeFile(config, configuration(variant, folder, cluster.dataDirectory, cluster.server.connection));
  const command = (...args: string[]): CommandLine => ({
    program: "pgbackrest",
    args: [`--config=${config}`, `--stanza=${stanza}`, ...args],
  });
  await run(command("stanza-create"), { user, group });
  return {
    startResident: async () => undefined,
    archiveCommand: async () => `pgbackrest --config=${config} --stanza=${stanza} archive-push %p`,
    backup: command("--type=full", "backup"),
    restore: async (directory, target) => ({
      kind: "restore",
      command: command(
        `--pg1-path=${directory}`,
        "--type=lsn",
        `--target=${formatLsn(target)}`,
        "--target-action=pause",
        "restore",
      ),
    }),
    storedBytes: () => treeBytes(repository),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

function configuration(
  variant: Variant,
  folder: string,
  dataDirectory: string,
  connection: { readonly host: string; readonly port: number },
): string {
  const yesNo = (value: boolean) => (value ? "y" : "n");
  return `[global]
repo1-path=${folder}/repo
repo1-retention-full=9
repo1-bundle=${yesNo(variant.bundle)}
log-path=${folder}/log
lock-path=${folder}/lock
spool-path=${folder}/spool
log-level-console=warn
log-level-file=off
compress-type=zst
compress-level=1
process-max=2
start-fast=y
archive-async=${yesNo(variant.async)}

[${stanza}]
pg1-path=${dataDirectory}
pg1-socket-path=${connection.host}
pg1-port=${connection.port}
pg1-user=postgres
`;
}
