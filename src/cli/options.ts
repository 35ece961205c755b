import { Option, type Command } from "commander";
import { EngineError } from "../common/errors.ts";

/** Options that name the repositories; all of them can come from the configuration file instead. */
export interface RepositoryOptions {
  readonly config?: string;
  readonly repo?: readonly string[];
  readonly server?: string;
  readonly endpointUrl?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  readonly caFile?: string;
  readonly identityFile?: string;
  readonly passphraseFile?: string;
  readonly output?: string;
  readonly logLevel?: string;
}

/** Options that name the PostgreSQL server on this machine. */
export interface ServerOptions {
  readonly dataDirectory?: string;
  readonly binDirectory?: string;
  readonly connection?: string;
}

export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function addRepositoryOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "configuration file (or TIDEMARK_CONFIG)")
    .option(
      "--repo <url>",
      "repository: s3://bucket/path, gs://bucket/path, azure://account/container/path or a directory; repeatable",
      collect,
    )
    .option("--server <name>", "server name: names one PostgreSQL system in the repository")
    .option("--endpoint-url <url>", "S3 endpoint other than AWS")
    .option("--region <name>", "S3 region")
    .option("--path-style", "S3: bucket in the path instead of the host name")
    .option("--ca-file <file>", "PEM file of the certificate authority to trust")
    .option("--identity-file <file>", "age identity that opens an encrypted repository")
    .option("--passphrase-file <file>", "passphrase that opens an encrypted repository")
    .addOption(new Option("-o, --output <format>", "text or json").default("text"))
    .addOption(new Option("--log-level <level>", "debug, info, warn or error"));
}

export function addServerOptions(command: Command): Command {
  return command
    .option("-D, --data-directory <dir>", "PostgreSQL's data directory")
    .option("--bin-directory <dir>", "where the server programs are")
    .option("--connection <url>", "postgres://user@host/database (default: PGHOST, PGPORT, PGUSER …)");
}

export function addExamples(command: Command, examples: readonly (readonly [string, string])[]): void {
  const lines = examples.map(([what, line]) => `  # ${what}\n  ${line}`);
  command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** Reads a whole-number option. Throws `usage`. */
export function parseCount(option: string, text: string | undefined, minimum = 1): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= minimum) return value;
  throw new EngineError("usage", `${option} is "${text}", but must be a whole number from ${minimum} on`);
}

/** Reads `key=value` tags. Throws `usage`. */
export function parseTags(texts: readonly string[]): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 1) {
      throw new EngineError("usage", `"${text}" is not a tag`, { hint: "Write a tag as key=value." });
    }
    tags[text.slice(0, equals)] = text.slice(equals + 1);
  }
  return tags;
}
