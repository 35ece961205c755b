import { EngineError, describeError, systemErrorCode } from "../common/errors.ts";

/** What a connection is to, without its password. */
export interface ConnectionTarget {
  /** Host name or address, or the folder of a Unix socket (starts with `/`). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

interface ServerError extends Error {
  readonly code: string;
  readonly severity: string;
  readonly hint?: string;
}

const sqlStatePattern = /^[0-9A-Z]{5}$/;

function isServerError(error: unknown): error is ServerError {
  if (!(error instanceof Error) || !("severity" in error)) return false;
  return sqlStatePattern.test(systemErrorCode(error) ?? "");
}

/** The SQLSTATE of an error of ours that came from a PostgreSQL server (`42501`), or undefined. */
export function sqlState(error: unknown): string | undefined {
  const state = error instanceof EngineError ? error.details["sqlState"] : undefined;
  return typeof state === "string" ? state : undefined;
}

/**
 * Classes and codes where the same thing can succeed later: connection trouble, resources used up, the server starting or
 * stopping, rolled back for others' sake.
 */
const passing = /^(08|40|53|57P0|58|55006|55P03)/;

/** Turns what the driver threw into `postgres-failed`; EngineErrors pass unchanged. No SQL, no values, no password. */
export function connectionError(
  action: string,
  target: ConnectionTarget,
  cause: unknown,
  osUser: string,
): EngineError {
  if (cause instanceof EngineError) return cause;
  if (isServerError(cause)) {
    const hint = authenticationHint(cause.code, target, osUser) ?? cause.hint;
    return new EngineError("postgres-failed", `${action}: ${cause.message} (SQLSTATE ${cause.code})`, {
      cause,
      retryable: passing.test(cause.code),
      details: { sqlState: cause.code, severity: cause.severity },
      ...(hint === undefined ? {} : { hint }),
    });
  }
  // The driver notices this itself, in words about its own state machine.
  if (cause instanceof Error && cause.message.includes("client password must be")) {
    return new EngineError(
      "postgres-failed",
      `${action}: the server asks for a password, and none was given`,
      {
        hint: "Set PGPASSWORD, add a line to the password file (~/.pgpass), or put it into the connection URL.",
        retryable: false,
      },
    );
  }
  const code = systemErrorCode(cause);
  const hint = networkHint(code, target, osUser);
  return new EngineError("postgres-failed", `${action}: ${code ?? describeError(cause)}`, {
    cause,
    retryable: code !== "EACCES",
    ...(hint === undefined ? {} : { hint }),
  });
}

function authenticationHint(state: string, target: ConnectionTarget, osUser: string): string | undefined {
  if (state === "28P01") return "Check the password (PGPASSWORD, the password file or the connection URL).";
  if (state !== "28000" || !target.host.startsWith("/")) return undefined;
  return (
    `Peer authentication compares the operating-system user, here "${osUser}", with the role "${target.user}". ` +
    `Run the command as that user (sudo -u ${target.user} …), or let pg_hba.conf and pg_ident.conf map "${osUser}" to the role.`
  );
}

function networkHint(code: string | undefined, target: ConnectionTarget, osUser: string): string | undefined {
  const socket = target.host.startsWith("/");
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return socket
        ? `Is PostgreSQL running, with unix_socket_directories = '${target.host}' and port ${target.port}?`
        : `Is PostgreSQL running on "${target.host}" and listening on port ${target.port} (listen_addresses)?`;
    case "EACCES":
      return `The socket folder "${target.host}" is closed to the user "${osUser}".`;
    case "ENOTFOUND":
      return `The host name "${target.host}" is not known.`;
    case undefined:
    default:
      return undefined;
  }
}

export function describeTarget({ host, port, user, database }: ConnectionTarget): string {
  const place = host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`;
  return `"${place}" (database "${database}", user "${user}")`;
}
