import { rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { formatLsn } from "../../src/postgres/lsn.ts";
import { waitUntil } from "../data/cluster.ts";
import { treeBytes } from "../measure/disk.ts";
import { run, startResident, type CommandLine, type Resident } from "../measure/program.ts";
import { requireS3 } from "../s3/server.ts";
import type { Ability, Contender, OpenRepository, Place } from "./contender.ts";

/** The program as it is published: compiled, run by the Node that runs this. */
const program = resolve(import.meta.dirname, "../../dist/cli/main.js");

function tidemark(args: readonly string[], environment: Readonly<Record<string, string>> = {}): CommandLine {
  return { program: process.execPath, args: [program, ...args], environment };
}

interface Variant {
  readonly store: "directory" | "s3";
  readonly codec: "zstd" | "gzip";
  /** Repositories that all get everything; one unless said. */
  readonly copies?: number;
  readonly abilities: readonly Ability[];
}

const variants: readonly Variant[] = [
  {
    store: "directory",
    codec: "zstd",
    abilities: ["archive", "idle", "backup", "restore", "replay", "help"],
  },
  // Against the one above: what a second copy costs.
  { store: "directory", codec: "zstd", copies: 2, abilities: ["archive"] },
  // What barman-cloud writes here, and so its counterpart.
  { store: "s3", codec: "gzip", abilities: ["archive", "backup", "restore", "replay"] },
  { store: "s3", codec: "zstd", abilities: ["archive", "idle", "backup"] },
];

/** Tidemark with its defaults in everything but the codec, at level 1. */
export function tidemarkContenders(): Contender[] {
  return variants.map((variant) => ({
    id: idOf(variant),
    title: `Tidemark, ${variant.codec}${variant.copies === undefined ? "" : `, ${variant.copies} repositories`}`,
    store: variant.store,
    ours: true,
    slow: false,
    abilities: new Set(variant.abilities),
    help: tidemark(["--help"]),
    open: (place) => openRepository(variant, place),
  }));
}

const idOf = ({ store, codec, copies }: Variant): string =>
  `tidemark-${store === "s3" ? "s3" : "dir"}${copies === undefined ? "" : `-x${copies}`}-${codec}`;

/** Slow enough that it, and nothing else, says how long a backup takes. */
const limit = "40MiB";

/** A store behind a slow line, alone and beside a fast one: what does the second copy cost? */
export function severalRepositoriesContenders(): Contender[] {
  const slow = "a directory behind a line of 40 MiB/s";
  return [
    { id: "tidemark-limited", title: `Tidemark, ${slow}`, names: ["limited"] },
    {
      id: "tidemark-limited-and-dir",
      title: `Tidemark, the same and a fast directory`,
      names: ["limited", "near"],
    },
  ].map(({ id, title, names }) => ({
    id,
    title,
    store: "directory",
    ours: true,
    slow: false,
    abilities: new Set(["copies"] as const),
    help: tidemark(["--help"]),
    open: async (place) => {
      const folder = await place.workspace.makeFresh(id);
      return repositoryIn(folder, await configuredStore(folder, names), "zstd", place);
    },
  }));
}

/** Directories in a configuration file, which is the way to several repositories with settings of their own. */
async function configuredStore(folder: string, names: readonly string[]): Promise<Store> {
  const repositories = names.map((name) => ({
    name,
    url: join(folder, name),
    ...(name === "limited" ? { maxBytesPerSecond: limit } : {}),
  }));
  const file = join(folder, "config.json");
  await writeFile(file, JSON.stringify({ server: "bench", repositories }));
  return {
    flags: ["--config", file],
    environment: {},
    storedBytes: async () => {
      const sizes = await Promise.all(repositories.map(({ url }) => treeBytes(url)));
      return sizes.reduce((sum, bytes) => sum + bytes, 0);
    },
    remove: async () => undefined,
  };
}

/** What the flags of a repository are, and what is stored there. */
interface Store {
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  storedBytes(): Promise<number>;
  remove(): Promise<void>;
}

async function openStore(variant: Variant, place: Place, folder: string): Promise<Store> {
  if (variant.store === "directory") {
    const directories = Array.from({ length: variant.copies ?? 1 }, (_, index) =>
      join(folder, `repo${index}`),
    );
    return {
      flags: [...directories.flatMap((directory) => ["--repo", directory]), "--server", "bench"],
      environment: {},
      storedBytes: async () =>
        (await Promise.all(directories.map(treeBytes))).reduce((sum, bytes) => sum + bytes, 0),
      remove: async () => undefined,
    };
  }
  const s3 = requireS3(place.s3);
  const prefix = s3.freshPrefix("tidemark");
  const { bucket, endpoint, region, environment } = s3;
  return {
    flags: [
      "--repo",
      `s3://${bucket}/${prefix}`,
      "--server",
      "bench",
      "--endpoint-url",
      endpoint,
      "--region",
      region,
      "--path-style",
    ],
    environment,
    storedBytes: () => s3.storedBytes(prefix),
    remove: () => s3.removePrefix(prefix),
  };
}

async function openRepository(variant: Variant, place: Place): Promise<OpenRepository> {
  const folder = await place.workspace.makeFresh(idOf(variant));
  return repositoryIn(folder, await openStore(variant, place, folder), variant.codec, place);
}

/** Works with what `store` names; its folder is removed in the end. */
function repositoryIn(
  folder: string,
  store: Store,
  codec: Variant["codec"],
  { workspace: { user }, cluster, group }: Place,
): OpenRepository {
  const spool = join(folder, "spool");
  const { host, port } = cluster.server.connection;
  const connection = `postgres://postgres@/postgres?host=${encodeURIComponent(host)}&port=${port}`;
  const server = ["-D", cluster.dataDirectory, "--connection", connection];
  const compression = ["--compression", codec, "--level", "1"];
  const command = (...args: string[]) => tidemark([...args, ...store.flags], store.environment);
  return {
    startResident: async () => {
      const agent = startResident(command("agent", ...server, "--spool", spool, ...compression), {
        user,
        group,
      });
      await untilAgentAnswers(agent, command("agent", "status", ...server, "--spool", spool), user);
      return agent;
    },
    archiveCommand: async () =>
      parseArchiveCommand(
        await run(command("agent", "settings", ...server, "--spool", spool, ...compression), { user }),
      ),
    backup: command("base", "create", ...server, ...compression),
    restore: async (directory, target) => ({
      kind: "restore-and-start",
      command: command(
        "base",
        "restore",
        directory,
        "--to-lsn",
        formatLsn(target),
        "--action",
        "pause",
        "--start",
        "--bin-directory",
        cluster.binaries.directory,
      ),
    }),
    storedBytes: () => store.storedBytes(),
    [Symbol.asyncDispose]: async () => {
      await store.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilAgentAnswers(
  agent: Resident,
  status: CommandLine,
  user: Place["workspace"]["user"],
): Promise<void> {
  await waitUntil("the agent to answer", async () => {
    agent.check();
    return run(status, { user }).then(
      () => true,
      () => false,
    );
  });
}

/** The line `archive_command = '…'` of what `tidemark agent settings` prints. */
function parseArchiveCommand(text: string): string {
  const value = /^archive_command = '((?:[^']|'')*)'/m.exec(text)?.[1];
  if (value === undefined) throw new Error(`"tidemark agent settings" printed no archive_command:\n${text}`);
  return value.replaceAll("''", "'").replaceAll("\\\\", "\\");
}

/** @throws Error when the program has not been built. */
export async function checkTidemarkBuilt(): Promise<void> {
  await run(tidemark(["--version"]), { user: undefined }).catch((cause: unknown) => {
    throw new Error(`${dirname(program)} holds no working program; build it first: npm run build`, { cause });
  });
}
