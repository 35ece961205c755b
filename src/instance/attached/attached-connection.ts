import { readFile } from "node:fs/promises";
import { fileError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import type { ConnectOptions } from "../../postgres/connection.ts";
import { readPostmasterFile } from "../../postgres/server-state.ts";
import type { AttachedSpec } from "./attached-spec.ts";

/**
 * How the server is reached just now: where its `postmaster.pid` says unless the specification names a host, with the password
 * that is in its file now. Throws `file-io` when one of them cannot be read.
 */
export async function attachedConnection({
  dataDirectory,
  connection,
}: Pick<AttachedSpec, "dataDirectory" | "connection">): Promise<ConnectOptions> {
  const { host, port, user, database, sslMode, passwordFile, sslRootCertificate } = connection;
  const running = host === undefined ? await readPostmasterFile(dataDirectory) : undefined;
  return {
    host: host ?? running?.socketDirectory,
    port: port ?? running?.port,
    user,
    database,
    sslMode,
    sslRootCertificate,
    password: passwordFile === undefined ? undefined : new Secret(await readPassword(passwordFile)),
  };
}

/** Secrets that were made from files often end with a line break, which no password does. */
async function readPassword(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw fileError("read", path, error);
  });
  return text.replace(/\r?\n$/, "");
}
