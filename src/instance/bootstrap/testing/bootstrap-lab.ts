import { join } from "node:path";
import { readLocalSystem } from "../../../agent/local-system.ts";
import { systemClock } from "../../../common/clock.ts";
import { createLog, type LogLevel } from "../../../common/log.ts";
import { connect, type SqlConnection } from "../../../postgres/connection.ts";
import type { PostgresMajor } from "../../../postgres/majors.ts";
import { findServerBinaries, type ServerBinaries } from "../../../postgres/server-binaries.ts";
import type { RunningServer } from "../../../postgres/server-running.ts";
import { startServer } from "../../../postgres/server.ts";
import { testFolder, testSettings, type TestFolder } from "../../../postgres/testing/test-server.ts";
import { startSettings } from "../../configuration/start-settings.ts";
import { writeConfiguration } from "../../configuration/write-configuration.ts";
import { instanceFolder, type InstanceFolder } from "../../instance-folder.ts";
import { instanceSpecSchema, type InstanceBootstrap, type InstanceSpec } from "../../instance-spec.ts";
import { bootstrapInstance } from "../bootstrap-instance.ts";
import type { BootstrapOptions } from "../bootstrap-options.ts";
import type { BootstrapReport } from "../bootstrap-report.ts";

/** Instances in one temporary folder, made by `bootstrapInstance` and run as their process would. */
export interface BootstrapLab extends AsyncDisposable {
  readonly folder: TestFolder;
  readonly binaries: ServerBinaries;
  readonly lines: { readonly level: LogLevel; readonly message: string }[];
  readonly activities: string[];
  /** An instance of its own below the lab's folder. Nothing is made yet but that. */
  instance(name: string, bootstrap: InstanceBootstrap, more?: Partial<InstanceSpec>): Promise<LabInstance>;
}

export interface LabInstance {
  readonly folder: InstanceFolder;
  readonly spec: InstanceSpec;
  bootstrap(more?: Partial<BootstrapOptions>): Promise<BootstrapReport>;
  /** Starts its server; the lab stops it. */
  serve(): Promise<RunningServer>;
}

export const newCluster: Extract<InstanceBootstrap, { kind: "initdb" }> = {
  kind: "initdb",
  application: { database: "app", owner: "app" },
  dataChecksums: true,
  encoding: "UTF8",
  arguments: [],
  postInitSql: [],
  postInitTemplateSql: [],
  postInitApplicationSql: [],
};

export async function bootstrapLab(major: PostgresMajor = 17): Promise<BootstrapLab> {
  const folder = await testFolder();
  const binaries = await findServerBinaries({ major });
  const lines: { level: LogLevel; message: string }[] = [];
  const activities: string[] = [];
  const log = createLog((level, message) => lines.push({ level, message }));
  const servers: RunningServer[] = [];
  const sockets = await folder.make("s");
  let port = 6000;
  return {
    folder,
    binaries,
    lines,
    activities,
    instance: async (name, bootstrap, more) => {
      const place = instanceFolder(await folder.make(name));
      const spec = testSpec({ name, major, bootstrap, socketDirectory: sockets, port: port++, ...more });
      return {
        folder: place,
        spec,
        bootstrap: async (options) =>
          bootstrapInstance({
            folder: place,
            spec,
            binaries,
            program: [process.execPath, join(import.meta.dirname, "../../../cli/main.ts")],
            log,
            clock: systemClock,
            signal: new AbortController().signal,
            onActivity: (activity) => activities.push(activity),
            ...options,
          }),
        serve: async () => {
          const server = await serveInstance(place, spec, binaries);
          servers.push(server);
          return server;
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server.stop("immediate");
      await folder[Symbol.asyncDispose]();
    },
  };
}

export function testSpec(
  given: Pick<InstanceSpec, "name" | "bootstrap" | "port" | "socketDirectory"> & Partial<InstanceSpec>,
): InstanceSpec {
  return instanceSpecSchema.parse({
    format: 1,
    version: 1,
    cluster: "test/pg",
    major: 17,
    listenAddresses: "",
    parameters: testSettings,
    hba: [],
    ident: [],
    role: { kind: "primary" },
    wanted: "running",
    ...given,
  });
}

/** As the instance's process starts it. */
export async function serveInstance(
  folder: InstanceFolder,
  spec: InstanceSpec,
  binaries: ServerBinaries,
): Promise<RunningServer> {
  await writeConfiguration({ folder, spec, clock: systemClock, signal: new AbortController().signal });
  const system = await readLocalSystem(folder.data);
  if (system === undefined) throw new Error(`there is no data directory in ${folder.data}`);
  return startServer({
    binaries,
    dataDirectory: folder.data,
    settings: startSettings(folder, spec, system.systemIdentifier),
    port: spec.port,
    socketDirectory: spec.socketDirectory,
    logFile: folder.serverLog,
  });
}

/** Runs SQL in a session of its own. */
export async function sqlOn<Row extends object = Record<string, unknown>>(
  server: RunningServer,
  text: string,
  target: { readonly database?: string; readonly user?: string } = {},
): Promise<Row[]> {
  await using session: SqlConnection = await connect({ ...server.connection, ...target });
  return await session.query<Row>(text);
}
