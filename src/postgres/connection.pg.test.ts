import { createServer, type Server } from "node:net";
import { describe, expect, test } from "vitest";
import { describeError, isEngineError } from "../common/errors.ts";
import { Secret } from "../common/log.ts";
import { connect } from "./connection.ts";
import { sqlState } from "./connection-error.ts";
import { testServer } from "./testing/test-server.ts";

async function failure(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isEngineError(error)) throw new Error("expected an EngineError", { cause: error });
  return error;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a session", () => {
  test("returns rows, keeps 64-bit numbers whole and runs queries in the order they are asked", async () => {
    await using pg = await testServer();
    await using session = await pg.connect();

    const answers = await Promise.all([
      session.query("SELECT pg_sleep(0.05), 1 AS n"),
      session.query("SELECT $1::int8 AS big, $2::text AS nothing", [9007199254740993n, null]),
      session.query("SELECT 1 AS first; SELECT 2 AS last"),
    ]);

    expect(answers[0]).toMatchObject([{ n: 1 }]);
    expect(answers.slice(1)).toEqual([[{ big: "9007199254740993", nothing: null }], [{ last: 2 }]]);
    expect(await session.query("SELECT pg_backend_pid() AS pid")).toEqual([{ pid: session.backendPid }]);
    expect(await session.query("SELECT current_setting('application_name') AS name")).toEqual([
      { name: "tidemark" },
    ]);
  });

  test("reports the server's message and SQLSTATE, and goes on", async () => {
    await using pg = await testServer();
    await using session = await pg.connect();

    const error = await failure(session.query("SELECT * FROM nowhere"));

    expect(error.message).toBe(`PostgreSQL refused: relation "nowhere" does not exist (SQLSTATE 42P01)`);
    expect([error.code, error.retryable, sqlState(error)]).toEqual(["postgres-failed", false, "42P01"]);
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("cancels a query when its signal fires, and goes on", async () => {
    await using pg = await testServer();
    await using session = await pg.connect();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const started = performance.now();

    const error = await failure(session.query("SELECT pg_sleep(60)", [], { signal: abort.signal }));

    expect(error.code).toBe("aborted");
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("says that it is lost when the server is killed, in the query under way and ever after", async () => {
    await using pg = await testServer();
    await using session = await pg.connect();
    const query = failure(session.query("SELECT pg_sleep(60)"));
    await new Promise((wake) => setTimeout(wake, 50));

    await pg.server.kill();

    expect((await query).code).toBe("postgres-failed");
    expect((await session.lost).message).toContain("lost the connection to PostgreSQL at");
    expect((await failure(session.query("SELECT 1"))).message).toContain("lost the connection");
    await session.close();
    await session.close();
  });

  test("does not call an orderly end a loss", async () => {
    await using pg = await testServer();
    const session = await pg.connect();

    await session.close();

    const lost = await Promise.race([
      session.lost,
      new Promise((wake) => setTimeout(() => wake("not lost"), 100)),
    ]);
    expect(lost).toBe("not lost");
    expect((await failure(session.query("SELECT 1"))).message).toContain("is closed");
  });
});

describe("connecting", () => {
  test("over TCP takes the password from a URL, and never shows it", async () => {
    await using pg = await testServer();
    await pg.sql("CREATE ROLE app LOGIN PASSWORD 's3cret-x'; ALTER ROLE app SET work_mem = '3MB'");
    const port = await freePort();
    await pg.restart({ settings: { listen_addresses: "127.0.0.1" }, port });
    const url = (password: string) => new Secret(`postgres://app:${password}@127.0.0.1:${port}/postgres`);

    await using session = await connect({ url: url("s3cret-x") });
    expect(await session.query("SELECT current_user AS who")).toEqual([{ who: "app" }]);

    const wrong = await failure(connect({ url: url("s3cret-y") }));
    expect(sqlState(wrong)).toBe("28P01");
    expect(wrong.hint).toContain("Check the password");
    expect(`${describeError(wrong)} ${JSON.stringify(wrong)}`).not.toContain("s3cret");

    const none = await failure(connect({ host: "127.0.0.1", port, user: "app", database: "postgres" }));
    expect(none.message).toContain("asks for a password, and none was given");
  });

  test("to nothing says what was tried and asks the right question", async () => {
    const error = await failure(connect({ host: "/nowhere", port: 5444, user: "me", database: "x" }));

    expect([error.message, error.hint, error.retryable]).toEqual([
      `could not connect to PostgreSQL at "/nowhere/.s.PGSQL.5444" (database "x", user "me"): ENOENT`,
      "Is PostgreSQL running, with unix_socket_directories = '/nowhere' and port 5444?",
      true,
    ]);
  });

  test("to something that does not answer can be aborted, and ends after its time", async () => {
    const silent = createServer();
    const port = await listen(silent);

    const started = performance.now();
    const error = await failure(
      connect({ host: "127.0.0.1", port, user: "me", signal: AbortSignal.timeout(50) }),
    );
    const late = await failure(connect({ host: "127.0.0.1", port, user: "me", timeoutMs: 50 }));
    silent.close();
    expect(performance.now() - started).toBeLessThan(5000);

    expect(error.code).toBe("aborted");
    expect([late.code, late.retryable]).toEqual(["postgres-failed", true]);
  });
});
