import type { ConnectionTarget } from "../../postgres/connection-error.ts";
import type { SqlConnection } from "../../postgres/connection.ts";
import { inDatabase } from "./superuser-session.ts";

/** The application's database and the role that owns it. */
export interface Application {
  readonly database: string;
  readonly owner: string;
}

/**
 * Makes role and database on a server of this machine that has its data from elsewhere; undefined leaves it as it is. Throws
 * `postgres-failed`, `aborted`.
 */
export async function ensureApplication(
  server: Pick<ConnectionTarget, "host" | "port">,
  application: Application | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (application === undefined) return;
  await inDatabase(server, "postgres", signal, async (connection) => {
    await ensureOwner(connection, application);
    await ensureDatabase(connection, application);
  });
}

/**
 * Makes the owner's role unless there is one: it may log in, but has no password, so that over TCP it cannot until somebody
 * gives it one. Throws `postgres-failed`.
 */
export async function ensureOwner(connection: SqlConnection, { owner }: Application): Promise<void> {
  const [role] = await connection.query("SELECT FROM pg_roles WHERE rolname = $1", [owner]);
  if (role === undefined) await connection.query(`CREATE ROLE ${quoteIdentifier(owner)} LOGIN`);
}

/** Makes the database, with the owner as its owner, unless there is one. Throws `postgres-failed`. */
export async function ensureDatabase(
  connection: SqlConnection,
  { database, owner }: Application,
): Promise<void> {
  const [found] = await connection.query("SELECT FROM pg_database WHERE datname = $1", [database]);
  if (found !== undefined) return;
  await connection.query(`CREATE DATABASE ${quoteIdentifier(database)} OWNER ${quoteIdentifier(owner)}`);
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
