import { resolve } from "node:path";
import { EngineError } from "../common/errors.ts";
import type { Config } from "./config.ts";
import { findDataDirectory } from "./local-server.ts";
import type { RepositoryOptions, ServerOptions } from "./options.ts";

export interface AgentCommandOptions extends RepositoryOptions, ServerOptions {
  readonly spool?: string;
}

/** The spool directory: given, or `<data directory>.tidemark`. Throws `config` when neither is known. */
export function spoolDirectory(options: AgentCommandOptions, config: Config): string {
  const found = findSpoolDirectory(options, config);
  if (found !== undefined) return found;
  throw new EngineError("config", "no spool directory is given", {
    hint: "Name it with --spool, or name the data directory with -D: the spool is then beside it.",
  });
}

/** The same, or undefined when neither is known. */
export function findSpoolDirectory(options: AgentCommandOptions, config: Config): string | undefined {
  const given = options.spool ?? config.spoolDirectory;
  if (given !== undefined) return resolve(given);
  const dataDirectory = findDataDirectory(options, config);
  return dataDirectory === undefined ? undefined : `${dataDirectory}.tidemark`;
}
