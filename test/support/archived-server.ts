import { testServer, type TestServer } from "../../src/postgres/testing/test-server.ts";
import type { PostgresMajor } from "../../src/postgres/majors.ts";
import { barmanWalCommand } from "./barman-program.ts";
import type { S3Place } from "./s3-place.ts";
import { startTidemark, tidemarkJson } from "./programs.ts";

/** The majors that Barman's tools are run with: Debian's own, and the newest. */
export const majorsWithBarman = [15, 18] as const satisfies readonly PostgresMajor[];

/** WAL stays in `pg_wal`, so that what was archived can be compared with what PostgreSQL wrote. */
const keepWal = { wal_keep_size: "2GB" };

/** A server with page checksums whose WAL goes to a place under the server name `name`. */
export interface ArchivedServer extends AsyncDisposable {
  readonly pg: TestServer;
  readonly name: string;
  readonly place: S3Place;
  /** Options that name data directory, repository and server to `tidemark`. */
  readonly options: readonly string[];
}

/** A server beside which our agent runs, from the first segment on. */
export async function archivedByTidemark(
  place: S3Place,
  given: { readonly major: PostgresMajor; readonly name: string; readonly compression: string },
): Promise<ArchivedServer> {
  await using cleanUp = new AsyncDisposableStack();
  const pg = cleanUp.use(await testServer({ major: given.major, dataChecksums: true }));
  cleanUp.use(await letTidemarkArchive(pg, place, given));
  return archivedServer(pg, place, given.name, cleanUp.move());
}

/** Starts our agent beside a server and tells the server to archive through it. */
export async function letTidemarkArchive(
  pg: TestServer,
  place: S3Place,
  { name, compression }: { readonly name: string; readonly compression: string },
): Promise<AsyncDisposable> {
  const spool = ["--spool", await pg.folder.make("spool")];
  const options = ["-D", pg.dataDirectory, ...place.tidemark(name)];
  const agent = startTidemark(["agent", ...options, ...spool, "--compression", compression], place);
  await agent.says('"archiving"');
  const settings = await tidemarkJson<Record<string, string>>(["agent", "settings", ...options, ...spool]);
  await pg.restart({ settings: { ...settings, ...keepWal } });
  return agent;
}

/** A server whose `archive_command` is `barman-cloud-wal-archive`. */
export async function archivedByBarman(
  place: S3Place,
  given: { readonly major: PostgresMajor; readonly name: string; readonly options?: readonly string[] },
): Promise<ArchivedServer> {
  await using cleanUp = new AsyncDisposableStack();
  const pg = cleanUp.use(await testServer({ major: given.major, dataChecksums: true }));
  await pg.restart({
    environment: place.environment,
    settings: {
      ...keepWal,
      archive_mode: "on",
      archive_command: barmanWalCommand(place, "wal-archive", given.name, given.options),
    },
  });
  return archivedServer(pg, place, given.name, cleanUp.move());
}

function archivedServer(
  pg: TestServer,
  place: S3Place,
  name: string,
  cleanUp: AsyncDisposableStack,
): ArchivedServer {
  const options = ["-D", pg.dataDirectory, ...place.tidemark(name)];
  return { pg, name, place, options, [Symbol.asyncDispose]: async () => cleanUp.disposeAsync() };
}
