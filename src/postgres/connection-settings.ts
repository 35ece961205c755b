import { access } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../common/errors.ts";
import { Secret } from "../common/log.ts";
import type { ConnectionTarget } from "./connection-error.ts";
import { currentUserName } from "./unprivileged-user.ts";

export interface ConnectionSettings {
  /** `postgres://user:password@host:port/database?…`; other fields given win over its parts. */
  readonly url?: Secret | undefined;
  /** Host name or address, or the folder of a Unix socket. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly password?: Secret | undefined;
  /** As in libpq. Default `PGSSLMODE`, else no TLS. */
  readonly sslMode?: SslMode | undefined;
  /** File with the certificate authorities to trust, for `verify-ca` and `verify-full`. */
  readonly sslRootCertificate?: string | undefined;
}

export const sslModes = ["disable", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

export interface ResolvedConnection extends ConnectionTarget {
  readonly password: Secret | undefined;
  readonly sslMode: SslMode;
  readonly sslRootCertificate: string | undefined;
}

/** Where the server's socket is on Debian and Red Hat, and where PostgreSQL itself puts it. */
const socketDirectories = ["/var/run/postgresql", "/tmp"] as const;

/**
 * Fills in what is not given: from the URL, then libpq's environment variables, then libpq's defaults (the socket folder
 * that has a socket, 5432, the operating-system user, the database named like the user).
 *
 * @throws EngineError `usage` for a URL, port or TLS mode that is none.
 */
export async function resolveConnection(
  given: ConnectionSettings,
  environment: NodeJS.ProcessEnv = process.env,
  socketFolders: readonly string[] = socketDirectories,
): Promise<ResolvedConnection> {
  const url = given.url === undefined ? {} : parseConnectionUrl(given.url);
  const port = given.port ?? url.port ?? parsePort(environment["PGPORT"] || undefined) ?? 5432;
  const user = given.user ?? url.user ?? (environment["PGUSER"] || currentUserName());
  const passwordText = environment["PGPASSWORD"] || undefined;
  return {
    port,
    user,
    host: given.host ?? url.host ?? (environment["PGHOST"] || (await socketFolderWith(port, socketFolders))),
    database: given.database ?? url.database ?? (environment["PGDATABASE"] || user),
    password:
      given.password ?? url.password ?? (passwordText === undefined ? undefined : new Secret(passwordText)),
    sslMode: given.sslMode ?? url.sslMode ?? parseSslMode(environment["PGSSLMODE"] || undefined) ?? "disable",
    sslRootCertificate:
      given.sslRootCertificate ?? url.sslRootCertificate ?? (environment["PGSSLROOTCERT"] || undefined),
  };
}

async function socketFolderWith(port: number, folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const found = await access(join(folder, `.s.PGSQL.${port}`)).then(
      () => true,
      () => false,
    );
    if (found) return folder;
  }
  return folders[0] ?? "/tmp";
}

/**
 * Takes a connection URL apart. Socket folders come as `postgres:///db?host=/tmp` or `postgres://%2Ftmp/db`. Of the
 * query, `host`, `port`, `user`, `password`, `dbname`, `sslmode` and `sslrootcert` are understood and others refused,
 * because ignoring one (`sslcert`, `options`) would connect in another way than was asked.
 */
export function parseConnectionUrl(secret: Secret): ConnectionSettings {
  const match =
    /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#]*)(?::(\d+))?(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(
      secret.reveal(),
    );
  if (match === null) throw notAUrl();
  const [, credentials, host, port, database, query] = match;
  const [user, ...password] = (credentials ?? "").split(":");
  const options = new URLSearchParams(query ?? "");
  const known = ["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert"];
  const foreign = [...options.keys()].find((key) => !known.includes(key));
  if (foreign !== undefined) {
    throw new EngineError("usage", `the connection URL has the unknown option "${foreign}"`, {
      hint: `Understood are ${known.join(", ")}.`,
    });
  }
  const option = (name: string) => options.get(name) || undefined;
  const passwordText = option("password") ?? decode(password.join(":"));
  return {
    host: option("host") ?? decode((host ?? "").replace(/^\[|\]$/g, "")),
    port: parsePort(option("port") ?? port),
    user: option("user") ?? decode(user ?? ""),
    database: option("dbname") ?? decode(database ?? ""),
    password: passwordText === undefined ? undefined : new Secret(passwordText),
    sslMode: parseSslMode(option("sslmode")),
    sslRootCertificate: option("sslrootcert"),
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined;
  } catch {
    throw notAUrl();
  }
}

/** The URL itself stays out of the message: it may hold a password. */
function notAUrl(): EngineError {
  return new EngineError("usage", "the connection URL is not understood", {
    hint: "Write postgres://user@host:5432/database or postgres:///database?host=/var/run/postgresql; escape special characters with %.",
  });
}

function parsePort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new EngineError("usage", `"${text}" is not a port number`);
}

function parseSslMode(text: string | undefined): SslMode | undefined {
  if (text === undefined) return undefined;
  // These two try TLS and quietly go without it; we do the same openly, since neither promises anything.
  if (text === "allow" || text === "prefer") return "disable";
  const mode = sslModes.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw new EngineError("usage", `"${text}" is not an sslmode`, {
    hint: `Use one of ${sslModes.join(", ")}.`,
  });
}
