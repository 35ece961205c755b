import { resolve } from "node:path";
import { parseStoreUrl } from "../storage/open-store.ts";
import type { RepositoryOptions } from "./options.ts";

/** The command line that runs this very program again, without its words: node and our entry file. */
export function selfProgram(): string[] {
  const entry = process.argv[1];
  return [process.execPath, ...(entry === undefined ? [] : [resolve(entry)])];
}

/**
 * The command line that runs this very program again, for scripts that PostgreSQL calls: node, our entry file, the
 * words, and the options that say which repositories. Paths are absolute, because PostgreSQL runs commands in its data
 * directory. Secrets are never in it: they come from the environment or from files.
 */
export function selfCommand(words: readonly string[], options: RepositoryOptions): string[] {
  const config = options.config ?? process.env["TIDEMARK_CONFIG"];
  const flag = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [name, value];
  const fileFlag = (name: string, path: string | undefined): string[] =>
    flag(name, path === undefined ? undefined : resolve(path));
  return [
    ...selfProgram(),
    ...words,
    ...flag("--config", config === undefined ? undefined : resolve(config)),
    ...(options.repo ?? []).flatMap((url) => ["--repo", absoluteUrl(url)]),
    ...flag("--server", options.server),
    ...flag("--endpoint-url", options.endpointUrl),
    ...flag("--region", options.region),
    ...(options.pathStyle === true ? ["--path-style"] : []),
    ...fileFlag("--ca-file", options.caFile),
    ...fileFlag("--identity-file", options.identityFile),
    ...fileFlag("--passphrase-file", options.passphraseFile),
  ];
}

function absoluteUrl(url: string): string {
  const location = parseStoreUrl(url);
  return location.kind === "file" ? resolve(location.root) : url;
}
