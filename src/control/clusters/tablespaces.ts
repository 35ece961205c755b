import type { InstanceSpec } from "../../instance/instance-spec.ts";
import { connect } from "../../postgres/connection.ts";
import type { ClusterView } from "./cluster-view.ts";

/** The first major with tablespaces inside the data directory (`allow_in_place_tablespaces`). */
const firstWithInPlace = 15;

/**
 * Makes the tablespaces of `spec.tablespaces` that the primary does not have, within its data directory: a standby on this
 * machine would replay a location elsewhere into the very directory of its primary. Returns what cannot be done, in a
 * sentence. Throws what connecting throws.
 */
export async function ensureTablespaces(
  { spec }: ClusterView,
  primary: Pick<InstanceSpec, "port" | "socketDirectory" | "major">,
): Promise<string | undefined> {
  const wanted = spec.tablespaces ?? [];
  if (wanted.length === 0) return undefined;
  await using connection = await connect({
    host: primary.socketDirectory,
    port: primary.port,
    user: "postgres",
    database: "postgres",
    applicationName: "tidemark-control",
    timeoutMs: 5000,
  });
  const present = await connection.query<{ readonly name: string }>(
    "SELECT spcname::text AS name FROM pg_tablespace",
  );
  const missing = wanted.filter(({ name }) => !present.some((known) => known.name === name));
  if (missing.length === 0) return undefined;
  if (primary.major < firstWithInPlace) {
    const names = missing.map(({ name }) => `"${name}"`).join(", ");
    return `tablespaces ${names} need PostgreSQL ${firstWithInPlace} or newer on one machine, and this is ${primary.major}`;
  }
  await connection.query("SET allow_in_place_tablespaces = on");
  for (const { name, owner } of missing) {
    const [quoted] = await connection.query<{ readonly name: string; readonly owner: string }>(
      "SELECT quote_ident($1) AS name, quote_ident($2) AS owner",
      [name, owner?.name ?? "postgres"],
    );
    if (quoted === undefined) continue;
    await connection.query(`CREATE TABLESPACE ${quoted.name} OWNER ${quoted.owner} LOCATION ''`);
  }
  return undefined;
}
