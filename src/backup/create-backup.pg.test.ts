import { describe, expect, it } from "vitest";
import { testFolder } from "../postgres/testing/test-server.ts";
import { majorsUnderTest } from "../postgres/testing/majors-under-test.ts";
import { backupLab, type BackupLab, serveRestored, unpackByHand } from "./testing/backup-lab.ts";

/** Runs `fn` while another session inserts and updates rows as fast as it can. */
async function whileWriting<T>(lab: BackupLab, fn: () => Promise<T>): Promise<T> {
  await using writer = await lab.server.connect();
  const control = { stop: false };
  const write = async () => {
    for (let id = 0; !control.stop; id++) {
      await writer.query(`INSERT INTO during VALUES (${id}); UPDATE t SET note = 'x' WHERE id = ${id + 1}`);
    }
  };
  const writing = write();
  // Awaited below; until then its failure is not to end the test run.
  writing.catch(() => undefined);
  try {
    return await fn();
  } finally {
    control.stop = true;
    await writing;
  }
}

describe.each(majorsUnderTest())("a base backup of PostgreSQL %i", (major) => {
  it("taken while rows are written, unpacked by hand, replays to the same data", async () => {
    await using lab = await backupLab({ major });
    await lab.server.sql(
      "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 200000) i",
    );
    await lab.server.sql("CREATE UNLOGGED TABLE u AS SELECT generate_series(1, 1000) AS id");
    await lab.server.sql("CREATE TABLE during (id int)");
    const result = await whileWriting(lab, () => lab.backUp({ name: "nightly", tags: { why: "test" } }));
    await lab.server.sql("SELECT pg_switch_wal()");
    const sums =
      "SELECT (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t) AS t, (SELECT count(*)::int FROM during) AS during, (SELECT count(*)::int FROM u) AS u";
    const [before] = await lab.server.sql<{ t: string; during: number; u: number }>(sums);
    await using folder = await testFolder();
    const target = await folder.make("restored");
    await unpackByHand(lab, result.id, target);
    await lab.server.server.stop("fast");
    await using restored = await serveRestored(lab, folder, target);
    const [after] = await restored.sql<{ t: string; during: number; u: number }>(sums);

    expect(result.manifest.parts.length).toBeGreaterThan(2);
    expect(after).toEqual({ ...before, u: 0 });
    expect(lab.lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });
});
