import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { EngineError } from "../../common/errors.ts";
import { findControlSocket, type SocketOptions } from "../../control/state-directory.ts";
import { listServerBinaries } from "../../postgres/server-binaries.ts";
import { connectControl } from "../control-client.ts";
import { readCluster } from "../control/cluster-resource.ts";

export interface PsqlOptions extends SocketOptions {
  readonly namespace?: string;
}

/** `tidemark psql`: psql on the primary of a cluster, as its superuser, over its Unix socket. */
export async function run(
  cluster: string,
  args: readonly string[],
  options: PsqlOptions,
  signal: AbortSignal,
): Promise<void> {
  const namespace = options.namespace ?? "default";
  const client = connectControl({ socketPath: await findControlSocket(options) });
  const { status } = await readCluster(client, namespace, cluster, signal);
  const primary = status.tidemark?.primary;
  if (primary === undefined) {
    throw new EngineError(
      "postgres-failed",
      `Cluster ${namespace}/${cluster} has no primary yet: ${status.phase}`,
      {
        hint: "tidemark status says what it waits for.",
      },
    );
  }
  const program = await findPsql();
  const child = spawn(program, [...args], {
    stdio: "inherit",
    env: {
      // Given on the command line, each of them wins.
      ...process.env,
      PGHOST: primary.socketDirectory,
      PGPORT: String(primary.port),
      PGUSER: process.env["PGUSER"] ?? "postgres",
      PGDATABASE: process.env["PGDATABASE"] ?? "postgres",
    },
  });
  // Ctrl-C is for psql, which ends a statement by it.
  const [code, endSignal] = (await once(child, "exit")) as [number | null, string | null];
  process.exitCode = code ?? (endSignal === "SIGINT" ? 130 : 1);
}

/** On the PATH, or beside some server's programs; the embedded servers come without it. */
async function findPsql(): Promise<string> {
  const binaries = await listServerBinaries().catch(() => []);
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/")),
    ...binaries.map(({ directory }) => directory),
  ];
  for (const folder of folders) {
    const path = join(folder, "psql");
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  throw new EngineError("postgres-missing", "psql was not found on the PATH", {
    hint: "Install PostgreSQL's client, for example with: apt-get install postgresql-client.",
  });
}
