import { readFile } from "node:fs/promises";
import pg from "pg";
import { EngineError, fileError } from "../common/errors.ts";
import { abortError, throwIfAborted } from "../common/abort.ts";
import { connectionError, describeTarget, type ConnectionTarget } from "./connection-error.ts";
import { findPassword } from "./connection-password-file.ts";
import {
  resolveConnection,
  type ConnectionSettings,
  type ResolvedConnection,
} from "./connection-settings.ts";
import { currentUserName } from "./unprivileged-user.ts";

export interface ConnectOptions extends ConnectionSettings {
  /** Shown in pg_stat_activity. Default `tidemark`. */
  readonly applicationName?: string | undefined;
  /** For connecting and authenticating. Default 15 s. */
  readonly timeoutMs?: number | undefined;
  /** Ends connecting only; a query takes its own. */
  readonly signal?: AbortSignal | undefined;
}

export type SqlValue = string | number | bigint | boolean | null | Uint8Array | Date;

/**
 * One session of one PostgreSQL server. Queries run one after the other, each in its own transaction. 64-bit numbers,
 * `numeric` and `pg_lsn` arrive as text, timestamps as Date (cut to milliseconds: select them as text where it matters).
 */
export interface SqlConnection extends AsyncDisposable {
  readonly target: ConnectionTarget;
  /** The server process of this session. */
  readonly backendPid: number;
  /**
   * Rows of the statement (of the last one, if several are given without parameters). When `signal` fires the
   * statement is cancelled at the server and the session stays usable.
   *
   * @throws EngineError `postgres-failed`, with the server's message and `details.sqlState`; `aborted`.
   */
  query<Row extends object>(
    sql: string,
    params?: readonly SqlValue[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Row[]>;
  /**
   * Resolves, with the reason, when the session ends without `close`: the server stopped, or the network did. Never
   * rejects, so it may be left alone.
   */
  readonly lost: Promise<EngineError>;
  /** Ends the session; a non-exclusive backup in it is given up by the server. Safe to repeat; never throws. */
  close(): Promise<void>;
}

/**
 * Opens a session.
 *
 * @throws EngineError `postgres-failed` (retryable unless the server refused us), `usage` for settings that make no
 * sense, `aborted`.
 */
export async function connect(options: ConnectOptions = {}): Promise<SqlConnection> {
  const { signal, timeoutMs = 15_000 } = options;
  throwIfAborted(signal);
  const resolved = await resolveConnection(options);
  const client = await createClient(resolved, options.applicationName ?? "tidemark", timeoutMs);
  const session = new Session(client, resolved);
  // The driver's own end() waits for the server to say goodbye; one that does not answer never would.
  const onAbort = () => session.cut();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await client.connect();
    return session;
  } catch (cause) {
    await session.close();
    if (signal?.aborted === true) throw abortError(signal);
    const action = `could not connect to PostgreSQL at ${describeTarget(resolved)}`;
    throw connectionError(action, resolved, cause, currentUserName());
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

async function createClient(resolved: ResolvedConnection, applicationName: string, timeoutMs: number) {
  const { host, port, user, database, sslMode } = resolved;
  const password = resolved.password ?? (await findPassword(resolved));
  // The driver reads PG* variables itself where a field is absent or empty, so every field is given.
  return new pg.Client({
    host,
    port,
    user,
    database,
    // A function also keeps the driver from looking for a password file of its own.
    password: () => password?.reveal() ?? "",
    ssl: sslMode === "disable" || host.startsWith("/") ? false : await tlsOptions(resolved),
    application_name: applicationName,
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
  });
}

async function tlsOptions({ sslMode, sslRootCertificate }: ResolvedConnection) {
  const ca = sslRootCertificate === undefined ? {} : { ca: await readCertificate(sslRootCertificate) };
  switch (sslMode) {
    case "verify-full":
      return { ...ca, rejectUnauthorized: true };
    case "verify-ca":
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "require":
    case "disable":
      // As in libpq, require encrypts and asks for no proof of who the server is.
      return { rejectUnauthorized: false };
  }
}

async function readCertificate(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError("read", path, error);
  }
}

/** How long a cancelled statement may go on before its session is cut. */
const cancelPatienceMs = 10_000;

class Session implements SqlConnection {
  readonly target: ConnectionTarget;
  readonly lost: Promise<EngineError>;
  readonly #client: pg.Client;
  readonly #resolved: ResolvedConnection;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #lostError: EngineError | undefined;

  constructor(client: pg.Client, resolved: ResolvedConnection) {
    this.#client = client;
    this.#resolved = resolved;
    const { host, port, user, database } = resolved;
    this.target = { host, port, user, database };
    this.lost = new Promise((resolve) => {
      const onEnd = (cause?: unknown) => {
        if (this.#closing !== undefined || this.#lostError !== undefined) return;
        const action = `lost the connection to PostgreSQL at ${describeTarget(this.target)}`;
        this.#lostError =
          cause === undefined
            ? new EngineError("postgres-failed", action)
            : connectionError(action, this.target, cause, currentUserName());
        resolve(this.#lostError);
      };
      // Without this listener the driver's error would end the process.
      client.on("error", onEnd);
      client.on("end", () => onEnd());
    });
  }

  get backendPid(): number {
    // The driver's types leave out the field that holds the backend key's first half.
    return (this.#client as unknown as { readonly processID: number }).processID;
  }

  query<Row extends object>(
    sql: string,
    params: readonly SqlValue[] = [],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Row[]> {
    const turn = this.#queue.then(() => this.#run<Row>(sql, params, options.signal));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #run<Row extends object>(
    sql: string,
    params: readonly SqlValue[],
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    throwIfAborted(signal);
    if (this.#lostError !== undefined) throw this.#lostError;
    if (this.#closing !== undefined) {
      throw new EngineError("postgres-failed", `the connection to ${describeTarget(this.target)} is closed`);
    }
    // The cancellation reports nothing: its effect is that the statement fails, which is reported below.
    const onAbort = () => void this.#cancel();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const result: pg.QueryResult<Row> | pg.QueryResult<Row>[] =
        params.length === 0 ? await this.#client.query(sql) : await this.#client.query(sql, [...params]);
      // Several statements in one text give an array, against the driver's types.
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    } catch (cause) {
      if (signal?.aborted === true) throw abortError(signal);
      throw this.#lostError ?? connectionError("PostgreSQL refused", this.target, cause, currentUserName());
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Asks the server, over a second session, to cancel the running statement; failing that, cuts the session. */
  async #cancel(): Promise<void> {
    const cut = setTimeout(() => void this.close(), cancelPatienceMs);
    void this.#queue.finally(() => clearTimeout(cut));
    try {
      const helper = await createClient(this.#resolved, "tidemark cancel", cancelPatienceMs);
      helper.on("error", () => undefined);
      try {
        await helper.connect();
        await helper.query("SELECT pg_cancel_backend($1)", [this.backendPid]);
      } finally {
        await helper.end();
      }
    } catch {
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    // A server that does not answer must not hold us: the session ends with the socket either way.
    const cut = setTimeout(() => this.cut(), 2000);
    try {
      await this.#client.end();
    } catch {
      this.cut();
    } finally {
      clearTimeout(cut);
    }
  }

  /** Drops the socket without a word. The driver's types leave out the field that holds it. */
  cut(): void {
    const { connection } = this.#client as unknown as {
      readonly connection: { readonly stream: { destroy(): void } };
    };
    connection.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
