import { readFile } from "node:fs/promises";
import { fileError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import type { ConnectOptions } from "../../postgres/connection.ts";
import type { AttachedSpec } from "./attached-spec.ts";

/**
 * How the server is reached just now: its password is read each time, so that a changed one is taken up. Throws `file-io`
 * when that cannot be read.
 */
export async function attachedConnection({
  host,
  port,
  user,
  database,
  sslMode,
  passwordFile,
  sslRootCertificate,
}: AttachedSpec["connection"]): Promise<ConnectOptions> {
  return {
    host,
    port,
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
