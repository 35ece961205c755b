import { resolve } from "node:path";
import { EngineError } from "../common/errors.ts";
import { createLog, type Log, type LogLevel } from "../common/log.ts";
import { ClaimNote } from "../repository/claim-note.ts";
import { parseServerName, type ServerName } from "../repository/server-name.ts";
import type { Repository } from "../repository/repository.ts";
import { openStore, parseStoreUrl } from "../storage/open-store.ts";
import { wrapStore } from "../storage/wrap-store.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { readConfig, type Config, type RepositoryConfig } from "./config.ts";
import { createLogSink } from "./log-sink.ts";
import type { RepositoryOptions } from "./options.ts";

/** What a command works with: the composition root. Stores are opened, wrapped and closed here and nowhere else. */
export interface CommandContext extends AsyncDisposable {
  readonly config: Config;
  readonly log: Log;
  readonly server: ServerName;
  readonly repositories: readonly Repository[];
  /** The one that reading commands use. */
  readonly firstRepository: Repository;
}

/** Whether a command may begin a repository: a directory that does not exist is made only for writers. */
export type StoreAccess =
  | { readonly kind: "read" }
  /** The spool directory, where one is known, says which repositories were begun before (`claim-note.ts`). */
  | { readonly kind: "write"; readonly spoolDirectory: string | undefined };

/** Configuration file and flags, flags winning; no store is opened. */
export async function resolveConfig(options: RepositoryOptions): Promise<Config> {
  const path = options.config ?? process.env["TIDEMARK_CONFIG"];
  const config = path === undefined ? {} : await readConfig(path);
  const urls = options.repo ?? [];
  return {
    ...config,
    ...(options.server === undefined ? {} : { server: options.server }),
    ...(urls.length === 0 ? {} : { repositories: urls.map((url) => repositoryFromFlags(url, options)) }),
  };
}

function repositoryFromFlags(url: string, options: RepositoryOptions): RepositoryConfig {
  return {
    url,
    ...(options.endpointUrl === undefined ? {} : { endpoint: options.endpointUrl }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.pathStyle === undefined ? {} : { pathStyle: options.pathStyle }),
    ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
  };
}

/** Opens everything a command needs. Throws `config` when no repository or server name is given. */
export async function openContext(
  options: RepositoryOptions,
  signal: AbortSignal,
  access: StoreAccess = { kind: "read" },
): Promise<CommandContext> {
  const config = await resolveConfig(options);
  const server = requireServerName(config);
  const log = createCommandLog(options);
  const repositories = await openRepositories({ config, server, log, access, signal });
  const [firstRepository] = repositories;
  if (firstRepository === undefined) {
    throw new EngineError("config", "no repository is given", {
      hint: "Name one with --repo s3://bucket/path or --repo /srv/backup, or in the configuration file (--config).",
    });
  }
  return {
    config,
    log,
    server,
    repositories,
    firstRepository,
    [Symbol.asyncDispose]: async () => {
      for (const { store } of repositories) await store.close();
    },
  };
}

function requireServerName(config: Config): ServerName {
  if (config.server !== undefined) return parseServerName(config.server);
  throw new EngineError("config", "no server name is given", {
    hint: 'Name the PostgreSQL system with --server, or with "server:" in the configuration file.',
  });
}

export function createCommandLog(options: { readonly logLevel?: string }): Log {
  const level = options.logLevel ?? "info";
  if (!isLogLevel(level)) {
    throw new EngineError("usage", `"${level}" is not a log level`, {
      hint: "Use debug, info, warn or error.",
    });
  }
  const format = process.stderr.isTTY ? "text" : "json";
  return createLog(createLogSink({ level, format, write: (line) => process.stderr.write(line) }));
}

function isLogLevel(text: string): text is LogLevel {
  return text === "debug" || text === "info" || text === "warn" || text === "error";
}

async function openRepositories(given: {
  readonly config: Config;
  readonly server: ServerName;
  readonly log: Log;
  readonly access: StoreAccess;
  readonly signal: AbortSignal;
}): Promise<Repository[]> {
  const { config, server, log, access, signal } = given;
  const repositories: Repository[] = [];
  for (const { name, entry } of namedRepositories(config)) {
    const repositoryLog = log.child({ server, repository: name });
    const claimNote = claimNoteFor(entry, server, access);
    const isBegun = (await claimNote?.exists()) ?? false;
    const store = await openWrapped(entry, repositoryLog, signal, {
      createRoot: access.kind === "write" && !isBegun,
      // It is not mounted just now; the others must not wait for it, nor must it be made.
      allowMissingRoot: isBegun,
    });
    repositories.push({
      name,
      server,
      store,
      log: repositoryLog,
      ...(claimNote === undefined ? {} : { claimNote }),
    });
  }
  return repositories;
}

function claimNoteFor(
  entry: RepositoryConfig,
  server: ServerName,
  access: StoreAccess,
): ClaimNote | undefined {
  if (access.kind === "read" || access.spoolDirectory === undefined) return undefined;
  const location = parseStoreUrl(entry.url);
  if (location.kind === "file") {
    return new ClaimNote(access.spoolDirectory, { url: resolve(location.root), server });
  }
  const { bucket, prefix, endpoint = entry.endpoint } = location.options;
  const url = `s3://${bucket}/${prefix ?? ""}`;
  return new ClaimNote(access.spoolDirectory, {
    url,
    server,
    ...(endpoint === undefined ? {} : { endpoint }),
  });
}

/** Checked before any is opened: a mistake in the configuration is one whatever the stores say. */
function namedRepositories({ repositories = [] }: Config) {
  const named = repositories.map((entry, index) => ({ name: entry.name ?? `repo${index + 1}`, entry }));
  const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) !== index);
  if (twice === undefined) return named;
  throw new EngineError("config", `two repositories are called "${twice.name}"`, {
    hint: "Give each a name of its own.",
  });
}

async function openWrapped(
  given: RepositoryConfig,
  log: Log,
  signal: AbortSignal,
  root: { readonly createRoot: boolean; readonly allowMissingRoot: boolean },
): Promise<ObjectStore> {
  const { endpoint, region, pathStyle, caFile, maxBytesPerSecond } = given;
  const store = await openStore(given.url, {
    ...root,
    s3: {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      ...(pathStyle === undefined ? {} : { pathStyle }),
      ...(caFile === undefined ? {} : { caFile }),
    },
    signal,
  });
  if (maxBytesPerSecond === undefined) return wrapStore(store, { log });
  const rate = { writeBytesPerSecond: maxBytesPerSecond, readBytesPerSecond: maxBytesPerSecond };
  return wrapStore(store, { log, rate });
}
