import { readControlFile } from "../../backup/backup-source.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { initializeCluster } from "../../postgres/server-initialize.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { startServer } from "../../postgres/server.ts";
import { superuser } from "../configuration/authentication.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import { privateSettings } from "../configuration/start-settings.ts";
import { writeConfigurationFiles } from "../configuration/write-configuration.ts";
import { ensureDatabase, ensureOwner } from "./application.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";
import { runStatements, type StatementList } from "./post-init-sql.ts";
import { inDatabase } from "./superuser-session.ts";

/** Makes a new cluster with the application's role and database, and runs the specification's statements in it. */
export async function makeCluster(job: BootstrapJob<"initdb">): Promise<void> {
  const { folder, spec, bootstrap, attempt, user, binaries, clock, log, signal, onActivity } = job;
  onActivity("making a new cluster with initdb");
  // Made here, so that it belongs to the user that the folder belongs to.
  await makeOwnDirectory(attempt.data, user);
  await initializeCluster({
    binaries,
    dataDirectory: attempt.data,
    superuser,
    walSegmentSizeMib: bootstrap.walSegmentSizeMib,
    dataChecksums: bootstrap.dataChecksums,
    encoding: bootstrap.encoding,
    extraArguments: bootstrap.arguments,
    log,
    signal,
  });
  faultPoint("bootstrap:initdb-done");
  const { control } = await readControlFile(attempt.data, clock, signal);
  await writeConfigurationFiles(folder, spec, { ...control, recovering: false });
  onActivity("starting the new cluster, for ourselves alone");
  await using server = await startServer({
    binaries,
    dataDirectory: attempt.data,
    settings: privateSettings(folder, binaries.major),
    logFile: folder.serverLog,
    signal,
  });
  faultPoint("bootstrap:started");
  await fill(server, job);
  faultPoint("bootstrap:filled");
  onActivity("stopping the new cluster");
  await server.stop("fast");
}

/**
 * In CloudNativePG's order: the owner's role, the statements for `postgres` and `template1`, the database, its statements.
 * Each in a session of its own, because statements may change theirs, and nobody may be in `template1` when it is copied.
 */
async function fill({ connection: target }: RunningServer, job: BootstrapJob<"initdb">): Promise<void> {
  const { bootstrap, folder, signal, onActivity } = job;
  const { application } = bootstrap;
  const run = async (database: string, list: StatementList) => {
    if (list.statements.length === 0) return;
    await inDatabase(target, database, signal, async (connection) =>
      runStatements(connection, list, { logFile: folder.serverLog, signal, onActivity }),
    );
  };
  onActivity(`making the database "${application.database}"`);
  await inDatabase(target, "postgres", signal, async (connection) => ensureOwner(connection, application));
  await run("postgres", { name: "postInitSQL", statements: bootstrap.postInitSql });
  await run("template1", { name: "postInitTemplateSQL", statements: bootstrap.postInitTemplateSql });
  await inDatabase(target, "postgres", signal, async (connection) => ensureDatabase(connection, application));
  await run(application.database, {
    name: "postInitApplicationSQL",
    statements: bootstrap.postInitApplicationSql,
  });
}
