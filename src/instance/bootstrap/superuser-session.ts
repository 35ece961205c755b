import { connect, type SqlConnection } from "../../postgres/connection.ts";
import type { ConnectionTarget } from "../../postgres/connection-error.ts";
import { superuser } from "../configuration/authentication.ts";

/** Uses a session as superuser on a server of this machine, and ends it. Throws `postgres-failed`, `aborted`. */
export async function inDatabase<T>(
  server: Pick<ConnectionTarget, "host" | "port">,
  database: string,
  signal: AbortSignal,
  use: (connection: SqlConnection) => Promise<T>,
): Promise<T> {
  const { host, port } = server;
  await using connection = await connect({
    host,
    port,
    user: superuser,
    database,
    applicationName: "tidemark bootstrap",
    signal,
  });
  return await use(connection);
}
