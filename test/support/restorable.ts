import type { ControlPlaneUnderTest } from "./control-plane.ts";
import { readContents } from "./rows.ts";
import { until } from "./until.ts";

/** Waits until a Cluster could be restored with everything that it holds so far. */
export async function archived(
  plane: ControlPlaneUnderTest,
  cluster: string,
  namespace: string,
  sql: (text: string) => Promise<Record<string, unknown>[]>,
): Promise<void> {
  const [row] = await sql("SELECT pg_current_wal_insert_lsn()::text AS lsn");
  await sql("SELECT pg_switch_wal()");
  await until(
    async () => {
      const target = `lsn:${String(row?.["lsn"])}`;
      const dryRun = ["restore", cluster, "-n", namespace, "--to", target, "--as", "look", "--dry-run"];
      const { code, stderr } = await plane.run(dryRun);
      return code === 0 ? undefined : stderr;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

/** What the tables of `makeTables` hold in a Cluster. */
export async function contentsOf(plane: ControlPlaneUnderTest, cluster: string, namespace: string) {
  await using connection = await plane.connect(cluster, { namespace });
  // Awaited here: the connection must live until then.
  return await readContents(async (text) => connection.query(text));
}
