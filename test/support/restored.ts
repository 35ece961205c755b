import { rm } from "node:fs/promises";
import { atExit } from "../../src/common/testing/at-exit.ts";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { sendSignal } from "../../src/postgres/server-process-tree.ts";
import type { RunningServer } from "../../src/postgres/server-running.ts";
import { adoptServer } from "../../src/postgres/server.ts";
import { readContents, type Contents } from "./rows.ts";
import type { System } from "./system.ts";

/** What `restore --start -o json` says, as far as tests look at it. */
export interface RestoreReport {
  readonly plan: { readonly backup: unknown };
  readonly recovery: {
    readonly stopReason: string;
    readonly reachedLsn: string | null;
    readonly newTimeline: number | null;
  } | null;
}

/** A restored server that runs. Disposing stops it and removes its directory. */
export interface Restored extends AsyncDisposable {
  readonly dataDirectory: string;
  readonly report: RestoreReport;
  readonly server: RunningServer;
  readonly sql: SqlConnection["query"];
  contents(): Promise<Contents | undefined>;
}

let count = 0;

/** Restores by the command line into a new directory, starts it, and connects. */
export async function restoreAndStart(system: System, args: readonly string[]): Promise<Restored> {
  const dataDirectory = system.path(`restored-${++count}`);
  const report = await system.json<RestoreReport>(["restore", dataDirectory, "--start", ...args]);
  return serveAdopted(dataDirectory, report);
}

/** Takes up the server that runs on a directory. */
export async function serveAdopted(dataDirectory: string, report: RestoreReport): Promise<Restored> {
  const server = await adoptServer({ dataDirectory });
  if (server === undefined) throw new Error(`no server runs on "${dataDirectory}"`);
  const callOff = atExit(() => void sendSignal(server.pid, "SIGQUIT"));
  const session = await connect({ ...server.connection, applicationName: "test" });
  const sql: SqlConnection["query"] = async (text, ...rest) => session.query(text, ...rest);
  return {
    dataDirectory,
    report,
    server,
    sql,
    contents: async () => readContents(sql),
    [Symbol.asyncDispose]: async () => {
      callOff();
      await session.close();
      await server.stop("immediate");
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** The rows of a restore to some target, and nothing left behind. */
export async function contentsAt(system: System, args: readonly string[]): Promise<Contents | undefined> {
  await using restored = await restoreAndStart(system, args);
  return await restored.contents();
}
