import { connect } from "../../src/postgres/connection.ts";
import { adoptServer } from "../../src/postgres/server.ts";
import { testFolder } from "../../src/postgres/testing/test-server.ts";
import { readTables, type Tables } from "./ledger.ts";
import type { S3Place } from "./s3-place.ts";
import { tidemarkJson } from "./programs.ts";

/** What `tidemark base restore --start` left behind, looked at and cleaned up again. */
export interface Restored {
  readonly tables: Tables;
  readonly backup: string;
  readonly stopReason: string;
  /** Where each tablespace is now, by the restored server. */
  readonly tablespaces: readonly string[];
  /** The mapped directory for the tablespace `fast`. */
  readonly fastDirectory: string;
}

interface RestoreOutput {
  readonly plan: { readonly backup: { readonly id: string } };
  readonly recovery: {
    readonly stopReason: string;
    readonly connection: { readonly host: string; readonly port: number; readonly user: string };
  };
}

/** Restores and starts with our command line, the tablespace `fast` moved, and reads every row of the result. */
export async function restoreWithTidemark(
  place: S3Place,
  server: string,
  args: readonly string[],
): Promise<Restored> {
  await using folder = await testFolder();
  const dataDirectory = await folder.make("restored");
  const fastDirectory = await folder.make("restored-fast");
  const output = await tidemarkJson<RestoreOutput>(
    [
      "base",
      "restore",
      dataDirectory,
      ...place.tidemark(server),
      "--tablespace",
      `fast=${fastDirectory}`,
      "--start",
      ...args,
    ],
    place,
  );
  const running = await adoptServer({ dataDirectory });
  try {
    const { host, port, user } = output.recovery.connection;
    await using session = await connect({ host, port, user, database: "postgres" });
    const spaces = await session.query<{ location: string }>(
      "SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''",
    );
    return {
      tables: await readTables({ sql: session.query.bind(session) }),
      backup: output.plan.backup.id,
      stopReason: output.recovery.stopReason,
      tablespaces: spaces.map(({ location }) => location),
      fastDirectory,
    };
  } finally {
    await running?.stop("immediate");
  }
}
