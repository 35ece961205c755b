import { readFile } from "node:fs/promises";
import { EngineError, fileError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import type { ConnectOptions } from "../../postgres/connection.ts";
import { readPostmasterFile } from "../../postgres/server-state.ts";
import type { AttachedSpec } from "./attached-spec.ts";

/**
 * How the server is reached just now: where its `postmaster.pid` says unless the specification names a host, with the password
 * that is in its file now. Throws `postgres-failed` while it does not run, `file-io` when a file cannot be read.
 */
export async function attachedConnection({
  dataDirectory,
  connection,
}: Pick<AttachedSpec, "dataDirectory" | "connection">): Promise<ConnectOptions> {
  const { host, port, user, database, sslMode, passwordFile, sslRootCertificate } = connection;
  const place = host === undefined ? await runningAt(dataDirectory) : { host, port: undefined };
  return {
    host: place.host,
    port: port ?? place.port,
    user,
    database,
    sslMode,
    sslRootCertificate,
    password: passwordFile === undefined ? undefined : new Secret(await readPassword(passwordFile)),
  };
}

/** In the usual place, where one that is down would be looked for otherwise, may be another server of this machine. */
async function runningAt(dataDirectory: string): Promise<{ host: string; port: number | undefined }> {
  const { socketDirectory, status, port } = (await readPostmasterFile(dataDirectory)) ?? {};
  if (socketDirectory !== undefined) return { host: socketDirectory, port };
  // It has no socket (unix_socket_directories = '').
  if (status === "ready") return { host: "localhost", port };
  throw new EngineError(
    "postgres-failed",
    `PostgreSQL does not run: "${dataDirectory}" has no postmaster.pid of a server that is up`,
    { hint: "Start it the way it is always started." },
  );
}

/** Secrets that were made from files often end with a line break, which no password does. */
async function readPassword(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw fileError("read", path, error);
  });
  return text.replace(/\r?\n$/, "");
}
