import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { Secret } from "../common/log.ts";
import { connect, type SqlConnection } from "../postgres/connection.ts";
import { parseControlFile, type ControlFile } from "../postgres/control-file.ts";
import { readPostmasterFile } from "../postgres/server-state.ts";
import type { Config } from "./config.ts";
import type { ServerOptions } from "./options.ts";

/** The data directory from flag, configuration or PGDATA. Throws `config` when it is nowhere. */
export function requireDataDirectory(options: ServerOptions, config: Config): string {
  const given = findDataDirectory(options, config);
  if (given !== undefined) return given;
  throw new EngineError("config", "no data directory is given", {
    hint: "Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA.",
  });
}

export function findDataDirectory(options: ServerOptions, config: Config): string | undefined {
  const given = options.dataDirectory ?? config.postgres?.dataDirectory ?? process.env["PGDATA"];
  return given === undefined ? undefined : resolve(given);
}

/**
 * Reads `global/pg_control` of a data directory. Throws `config` when it is none, `file-io` or `postgres-format`.
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = join(dataDirectory, "global", "pg_control");
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw isAbsent(cause) ? notADataDirectory(dataDirectory) : fileError("read", path, cause);
  });
  return parseControlFile(bytes, path);
}

const isAbsent = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "");

function notADataDirectory(path: string): EngineError {
  return new EngineError(
    "config",
    `"${path}" is not a data directory: there is no "global/pg_control" in it`,
    {
      hint: "Name PostgreSQL's data directory with -D, postgres.dataDirectory in the configuration file, or PGDATA (in psql: SHOW data_directory).",
    },
  );
}

/**
 * Connects to the server: as told by flag or configuration; else to the one that runs on the data directory, whose
 * `postmaster.pid` says where its socket is; else as libpq would (PGHOST, PGPORT, …).
 */
export async function connectToServer(
  options: ServerOptions,
  config: Config,
  signal: AbortSignal,
): Promise<SqlConnection> {
  const url = options.connection ?? config.postgres?.connection;
  const common = { applicationName: "tidemark", signal };
  if (url !== undefined) return connect({ ...common, url: new Secret(url) });
  const dataDirectory = findDataDirectory(options, config);
  const running = dataDirectory === undefined ? undefined : await runningOn(dataDirectory);
  const database = process.env["PGDATABASE"] ?? "postgres";
  if (running?.socketDirectory === undefined) return connect({ ...common, database });
  return connect({ ...common, database, host: running.socketDirectory, port: running.port ?? 5432 });
}

/** What the server on a data directory says of itself; undefined when PGHOST says where to find it. */
async function runningOn(dataDirectory: string): Promise<Awaited<ReturnType<typeof readPostmasterFile>>> {
  await readControlFile(dataDirectory);
  const running = await readPostmasterFile(dataDirectory);
  if (running !== undefined || process.env["PGHOST"] !== undefined) return running;
  throw new EngineError(
    "postgres-failed",
    `no server runs on "${dataDirectory}": there is no "postmaster.pid" in it`,
    { hint: "Start PostgreSQL, or say with --connection where it is." },
  );
}
