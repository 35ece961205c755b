import { EngineError } from "../common/errors.ts";
import { createLog, type Log, type LogLevel } from "../common/log.ts";
import {
  closeRepositories,
  nameRepositories,
  openBareRepositories,
  openRepositories,
  type StoreAccess,
} from "../repository/open-repositories.ts";
import { requireDifferentPlaces } from "../repository/repository-place.ts";
import type { EncryptionSettings, RepositorySettings } from "../repository/repository-settings.ts";
import type { Repository } from "../repository/repository.ts";
import { parseServerName, type ServerName } from "../repository/server-name.ts";
import { readConfig, type Config } from "./config.ts";
import { createLogSink } from "./log-sink.ts";
import type { RepositoryOptions } from "./options.ts";

/** What a command works with: the composition root. */
export interface CommandContext extends AsyncDisposable {
  readonly config: Config;
  readonly log: Log;
  readonly server: ServerName;
  readonly repositories: readonly Repository[];
  /** The one that reading commands use. */
  readonly firstRepository: Repository;
}

/** Configuration file and flags, flags winning; no store is opened. */
export async function resolveConfig(options: RepositoryOptions): Promise<Config> {
  const path = options.config ?? process.env["TIDEMARK_CONFIG"];
  const config = path === undefined ? {} : await readConfig(path);
  const urls = options.repo ?? [];
  const encryption = encryptionFromFlags(options);
  const repositories =
    urls.length === 0 ? config.repositories : urls.map((url) => repositoryFromFlags(url, options));
  return {
    ...config,
    ...(options.server === undefined ? {} : { server: options.server }),
    ...(repositories === undefined
      ? {}
      : {
          repositories: repositories.map((settings) =>
            encryption === undefined ? settings : { ...settings, encryption },
          ),
        }),
  };
}

/** A repository that is named by its URL alone, with what flags say of its place. */
export function repositoryFromFlags(
  url: string,
  options: Pick<RepositoryOptions, "endpointUrl" | "region" | "pathStyle" | "caFile">,
): RepositorySettings {
  return {
    url,
    ...(options.endpointUrl === undefined ? {} : { endpoint: options.endpointUrl }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.pathStyle === undefined ? {} : { pathStyle: options.pathStyle }),
    ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
  };
}

/** As the flags say it, for every repository; undefined when they say nothing. Throws `usage` for both kinds of key at once. */
export function encryptionFromFlags({
  identityFile,
  passphraseFile,
}: RepositoryOptions): EncryptionSettings | undefined {
  if (identityFile !== undefined && passphraseFile !== undefined) {
    throw new EngineError(
      "usage",
      "--identity-file and --passphrase-file are given, and only one can count",
      {
        hint: "Give the one that the repository was set up with.",
      },
    );
  }
  if (identityFile !== undefined) return { identityFile };
  return passphraseFile === undefined ? undefined : { passphraseFile };
}

/**
 * Opens everything a command needs; `open` is another way to open the repositories. Throws `config` when no repository or server
 * name is given.
 */
export async function openContext(
  options: RepositoryOptions,
  signal: AbortSignal,
  access: StoreAccess = { kind: "read", allowMissing: true },
  open: typeof openRepositories = openRepositories,
): Promise<CommandContext> {
  return openContextWith(open, options, signal, access);
}

/** The same with stores as they are below the encryption: for the commands that care for keys. */
export async function openBareContext(
  options: RepositoryOptions,
  signal: AbortSignal,
  access: StoreAccess = { kind: "read" },
): Promise<CommandContext> {
  return openContextWith(openBareRepositories, options, signal, access);
}

async function openContextWith(
  open: typeof openRepositories,
  options: RepositoryOptions,
  signal: AbortSignal,
  access: StoreAccess,
): Promise<CommandContext> {
  const config = await resolveConfig(options);
  const server = requireServerName(config);
  const log = createCommandLog(options);
  const settings = config.repositories ?? [];
  // Whoever only reads gets the same from both.
  if (access.kind === "write") await requireDifferentPlaces(nameRepositories(settings), server);
  const repositories = await open({ settings, server, log, access, signal });
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
    [Symbol.asyncDispose]: async () => closeRepositories(repositories),
  };
}

/** Throws `config` when there is none. */
export function requireServerName(config: Config): ServerName {
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
