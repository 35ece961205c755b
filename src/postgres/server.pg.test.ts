import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { connect } from "./connection.ts";
import { isAlive, descendantsOf, listProcesses } from "./server-process-tree.ts";
import { adoptServer, startServer } from "./server.ts";
import { initializeCluster } from "./server-initialize.ts";
import { clusterState } from "./server-state.ts";
import { majorsUnderTest } from "./testing/majors-under-test.ts";
import { testServer } from "./testing/test-server.ts";

async function failure(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isEngineError(error)) throw new Error("expected an EngineError", { cause: error });
  return error;
}

describe.each(majorsUnderTest())("a server of PostgreSQL %i", (major) => {
  test("answers over its private socket, survives kill -9 and stops in every mode", async () => {
    await using pg = await testServer({ major, walSegmentSizeMib: 1, settings: { fsync: "on" } });
    const [row] = await pg.sql<{ version: number; size: string; sums: string; listen: string }>(
      `SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('wal_segment_size') AS size,
              current_setting('data_checksums') AS sums, current_setting('listen_addresses') AS listen`,
    );
    expect(row).toEqual({ version: major, size: "1MB", sums: "on", listen: "" });
    expect(await clusterState(pg.dataDirectory)).toMatchObject({
      kind: "running",
      file: { pid: pg.server.pid, status: "ready", socketDirectory: pg.server.connection.host },
    });

    await pg.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    const first = pg.server;
    const children = descendantsOf(first.pid, await listProcesses());
    await first.kill();

    expect(await first.exited).toEqual({ code: undefined, signal: "SIGKILL" });
    expect(children.length).toBeGreaterThan(3);
    expect(await Promise.all(children.map(isAlive))).not.toContain(true);
    expect(await clusterState(pg.dataDirectory)).toMatchObject({ kind: "crashed", file: { pid: first.pid } });

    await pg.restart();
    expect(await pg.sql("SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 1000 }]);

    expect(await pg.server.stop("immediate")).toBe("immediate");
    await pg.restart();
    expect(await pg.server.stop("fast")).toBe("fast");
    expect(await pg.server.exited).toEqual({ code: 0, signal: undefined });
    expect(await clusterState(pg.dataDirectory)).toEqual({ kind: "stopped" });
  });

  test("runs on the directory it was given, whatever its configuration calls the data directory", async () => {
    await using pg = await testServer({ major });
    await pg.server.stop();
    await appendFile(join(pg.dataDirectory, "postgresql.conf"), "data_directory = '/srv/origin'\n");

    await pg.restart();

    expect(await pg.sql("SHOW data_directory")).toEqual([{ data_directory: pg.dataDirectory }]);
  });

  test("says in the error why it did not start, and leaves nothing running", async () => {
    await using pg = await testServer({ major });
    await pg.server.stop();

    const error = await failure(pg.restart({ settings: { shared_buffers: "nonsense" } }));

    expect(error.code).toBe("postgres-failed");
    expect(error.message).toMatch(
      /ended before it could become ready, with status 1; its log ends: .*invalid value for parameter "shared_buffers": "nonsense"/,
    );
    expect(error.hint).toBe(`The whole log is in "${pg.logFile}".`);
    expect(await clusterState(pg.dataDirectory)).toEqual({ kind: "stopped" });
  });

  test("promotes out of a recovery that follows WAL without end", async () => {
    await using pg = await testServer({ major });
    await pg.server.stop();
    await writeFile(join(pg.dataDirectory, "standby.signal"), "");
    const server = await pg.restart();
    expect(await pg.sql("SELECT pg_is_in_recovery() AS recovering")).toEqual([{ recovering: true }]);

    await server.promote();
    await server.waitUntilPromoted({ timeoutMs: 30_000 });

    expect(await pg.sql("SELECT pg_is_in_recovery() AS recovering")).toEqual([{ recovering: false }]);
  });
});

describe("supervision", () => {
  test("a second server on the same directory is refused, and the first is found and adopted", async () => {
    await using pg = await testServer();

    const error = await failure(startServer({ binaries: pg.binaries, dataDirectory: pg.dataDirectory }));
    expect(error.code).toBe("locked");
    expect(error.message).toContain(`as process ${pg.server.pid}`);

    const adopted = await adoptServer({ dataDirectory: pg.dataDirectory, logFile: pg.logFile });
    expect(adopted?.connection).toEqual(pg.server.connection);
    expect(await adopted?.stop("fast")).toBe("fast");
    expect((await pg.server.exited).code).toBe(0);
    expect(await adoptServer({ dataDirectory: pg.dataDirectory })).toBeUndefined();
  });

  test("a stop that takes too long becomes immediate", async () => {
    await using pg = await testServer();
    await using session = await pg.connect();
    await session.query("SELECT 1");

    // Smart waits for sessions, and this one stays.
    expect(await pg.server.stop("smart", { timeoutMs: 300 })).toBe("immediate");
    expect((await session.lost).code).toBe("postgres-failed");
  });

  test("an abort while starting stops the server", async () => {
    await using pg = await testServer();
    await pg.server.stop();
    const abort = new AbortController();

    const starting = pg.restart({ signal: abort.signal, settings: { listen_addresses: "" } });
    setTimeout(() => abort.abort(), 5);

    expect((await failure(starting)).code).toBe("aborted");
    expect(await clusterState(pg.dataDirectory)).toEqual({ kind: "stopped" });
  });

  test("secrets are refused as command-line parameters", async () => {
    await using pg = await testServer();
    await pg.server.stop();

    const error = await failure(pg.restart({ settings: { Primary_ConnInfo: "password=x" } }));

    expect(error.code).toBe("usage");
  });

  test("initdb refuses a directory that is in use, and says what is wrong with an option", async () => {
    await using pg = await testServer();
    const { binaries, dataDirectory, folder } = pg;

    expect((await failure(initializeCluster({ binaries, dataDirectory }))).code).toBe("target-directory");

    const other = join(folder.path, "other");
    const error = await failure(initializeCluster({ binaries, dataDirectory: other, encoding: "KLINGON" }));
    expect(error.code).toBe("postgres-failed");
    expect(error.message).toContain(`"KLINGON" is not a valid server encoding name`);
  });

  test("a role of another name than ours is refused over the socket, with the way out", async () => {
    await using pg = await testServer();
    await pg.sql("CREATE ROLE somebody LOGIN");

    const error = await failure(connect({ ...pg.server.connection, user: "somebody" }));

    expect(error.message).toContain("SQLSTATE 28000");
    expect(error.hint).toContain("Peer authentication compares the operating-system user");
    expect(error.retryable).toBe(false);
  });
});
