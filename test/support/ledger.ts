import { setTimeout as sleep } from "node:timers/promises";
import type { SqlConnection } from "../../src/postgres/connection.ts";
import type { TestServer } from "../../src/postgres/testing/test-server.ts";

/**
 * What a restore is compared by: not that it starts, but every row of every table, as it was at a moment that was noted
 * on the source.
 */
export interface Moment {
  /** A restore point of this name lies right behind it. */
  readonly name: string;
  /** By the server's clock, with a zone: after the last commit that belongs to it, before the next one. */
  readonly time: string;
  /** Behind the last commit that belongs to it; a record starts here. */
  readonly lsn: string;
  readonly tables: Tables;
}

/** Number of rows and digest of all rows, by table. */
export type Tables = Readonly<Record<string, { readonly rows: number; readonly digest: string }>>;

/** Tables in PGDATA and, where a directory is given, in a tablespace `fast`: about 20 MB that hardly compresses. */
export async function makeLedger(server: TestServer, tablespaceDirectory?: string): Promise<void> {
  if (tablespaceDirectory !== undefined)
    await server.sql(`CREATE TABLESPACE fast LOCATION '${tablespaceDirectory}'`);
  const places = tablespaceDirectory === undefined ? ["pg_default"] : ["pg_default", "fast"];
  await server.sql("CREATE TABLE entries (id bigint GENERATED ALWAYS AS IDENTITY, note text)");
  for (const place of places) {
    for (const table of [1, 2, 3]) {
      await server.sql(
        `CREATE TABLE ${place}_${table} TABLESPACE ${place} AS
         SELECT id, md5(id::text || random()::text) || md5(random()::text) AS note FROM generate_series(1, 25000) id`,
      );
    }
  }
}

/** Writes rows to every table and notes the moment after them. */
export async function writeAndNote(server: TestServer, name: string): Promise<Moment> {
  await server.sql("INSERT INTO entries (note) SELECT $1 FROM generate_series(1, 1000)", [name]);
  const names = Object.keys(await readTables(server));
  for (const table of names.filter((table) => table !== "entries"))
    await server.sql(`UPDATE ${table} SET note = $1 WHERE id % 100 = 7`, [name]);
  const tables = await readTables(server);
  const [at] = await server.sql<{ time: string; lsn: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS time,
            pg_current_wal_insert_lsn()::text AS lsn`,
  );
  if (at === undefined) throw new Error("the server did not tell its time");
  await server.sql("SELECT pg_create_restore_point($1)", [name]);
  return { name, ...at, tables };
}

/** Every table of the public schema. */
export async function readTables(
  server: Pick<TestServer, "sql"> | { readonly sql: SqlConnection["query"] },
): Promise<Tables> {
  const names = await server.sql<{ name: string }>(
    "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
  );
  const tables: Record<string, { rows: number; digest: string }> = {};
  for (const { name } of names) {
    const [row] = await server.sql<{ rows: number; digest: string }>(
      `SELECT count(*)::int AS rows, md5(coalesce(string_agg(t::text, ',' ORDER BY id), '')) AS digest FROM ${name} t`,
    );
    if (row !== undefined) tables[name] = row;
  }
  return tables;
}

/** Ends the current segment and waits until PostgreSQL's archiver reports it stored. */
export async function archiveAll(server: TestServer): Promise<void> {
  const [row] = await server.sql<{ name: string }>(
    "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name",
  );
  await server.sql("SELECT pg_switch_wal()");
  const deadline = performance.now() + 120_000;
  for (;;) {
    const [archiver] = await server.sql<{ last: string | null; failed: string | null }>(
      "SELECT last_archived_wal AS last, last_failed_wal AS failed FROM pg_stat_archiver",
    );
    if ((archiver?.last ?? "").slice(0, 24) >= (row?.name ?? "")) return;
    if (performance.now() > deadline)
      throw new Error(`${row?.name} was not archived in 2 minutes; last failed: ${archiver?.failed}`);
    await sleep(100);
  }
}
