import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../common/clock.ts";
import { limitLogs } from "../../common/limited-logs.ts";
import { EngineError } from "../../common/errors.ts";
import { startControlPlane, type ControlPlane } from "../../control/control-plane.ts";
import { readSecretProviders } from "../../control/external-secrets/provider-settings.ts";
import type { SecretProviders } from "../../control/external-secrets/secret-provider.ts";
import { announceControl, chooseControlSocket, stateDirectory } from "../../control/state-directory.ts";
import { startApiServer } from "../../http/api-server.ts";
import { backupRoutes } from "../../http/backup-routes.ts";
import { clusterRoutes } from "../../http/cluster-routes.ts";
import { createApi } from "../../http/create-api.ts";
import { lifecycleRoutes } from "../../http/lifecycle-routes.ts";
import { logRoutes } from "../../http/log-routes.ts";
import { serverRoutes } from "../../http/server-routes.ts";
import type { ManifestText } from "../../manifest/manifest-object.ts";
import { parseListen, readApiToken } from "../control/api-token.ts";
import { applyTexts } from "../control/apply-texts.ts";
import { controlLog, startInBackground } from "../control/background.ts";
import { connectControl } from "../control-client.ts";
import { startLiveView } from "../control/live-view.ts";
import { prepareStateDirectory } from "../control/prepare-state.ts";
import { createCommandLog } from "../context.ts";
import { readManifestFiles } from "../manifest-files.ts";
import { selfProgram } from "../self-command.ts";

export interface UpOptions {
  readonly file?: readonly string[];
  readonly state?: string;
  readonly namespace?: string;
  readonly detach?: boolean;
  readonly leaveRunning?: boolean;
  readonly ignoreUnknown?: boolean;
  /** Settings of the control plane: where secrets come from. */
  readonly settings?: string;
  readonly listen?: string;
  readonly logLevel?: string;
}

/** `tidemark up`: runs until Ctrl-C or `tidemark down`, and then stops what it runs unless told to leave it. */
export async function run(options: UpOptions, signal: AbortSignal): Promise<void> {
  // As root: manifests may be readable for root alone, since they hold secrets.
  const texts = options.file === undefined ? [] : await readManifestFiles(options.file);
  const secretProviders = await secretProvidersFor(options);
  const directory = stateDirectory(options);
  if (options.detach === true) {
    const socketPath = await startInBackground(directory, options, signal);
    if (texts.length > 0) await applyAll(socketPath, texts, options);
    process.stdout.write(
      `The control plane runs in the background; its log is ${controlLog(directory)}. tidemark down ends it.\n`,
    );
    return;
  }
  await prepareStateDirectory(directory);
  await serve(directory, { texts, secretProviders }, options, signal);
}

/** Also read before it is needed in the background: a mistake in it is said here. */
async function secretProvidersFor({ settings }: UpOptions): Promise<SecretProviders> {
  return settings === undefined
    ? { byStore: new Map(), fallback: undefined }
    : readSecretProviders(settings, process.env);
}

async function serve(
  directory: string,
  given: { readonly texts: readonly ManifestText[]; readonly secretProviders: SecretProviders },
  options: UpOptions,
  signal: AbortSignal,
): Promise<void> {
  const { texts, secretProviders } = given;
  const listen = options.listen === undefined ? undefined : parseListen(options.listen);
  const log = createCommandLog({ logLevel: options.logLevel ?? "warn" });
  const asked = new AbortController();
  const ended = new AbortController();
  let leaveInstances = options.leaveRunning === true;
  await using plane = await startControlPlane({
    stateDirectory: directory,
    program: selfProgram(),
    secretProviders,
    clock: systemClock,
    log,
  });
  const { store, instances, repositories } = plane;
  const app = createApi({
    store,
    log,
    clock: systemClock,
    routes: [
      ...backupRoutes({ store, repositories, clock: systemClock }),
      ...clusterRoutes({ store, instances, repositories }),
      ...logRoutes({ instances, store, stateDirectory: directory }),
      ...serverRoutes({ store, clock: systemClock }),
      ...lifecycleRoutes((request) => {
        leaveInstances = request.leaveInstances;
        // The answer goes out first.
        setTimeout(() => asked.abort(), 50);
      }),
    ],
  });
  const socketPath = await chooseControlSocket(directory);
  const token = listen === undefined ? undefined : await readApiToken(directory);
  await using server = await startApiServer({
    app,
    socketPath,
    ...(listen === undefined || token === undefined ? {} : { tcp: { ...listen, token: token.token } }),
  });
  await announceControl(directory, { pid: process.pid, socket: socketPath });
  process.stdout.write(`Tidemark runs with its state in ${directory}. Ctrl-C ends it.\n`);
  if (listen !== undefined && token !== undefined) {
    const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
    process.stdout.write(
      `API at http://${host}:${server.tcpPort ?? listen.port}, for whoever has the token in ${token.path}\n`,
    );
  }
  void limitLogs([controlLog(directory)], { clock: systemClock, log, signal: ended.signal });
  const endView = startLiveView(
    store,
    (line) => process.stdout.write(line),
    () => systemClock.now(),
  );
  try {
    if (texts.length > 0) await applyAll(socketPath, texts, options);
    await untilAborted(AbortSignal.any([signal, asked.signal]));
    await stopInstances(plane, leaveInstances);
  } finally {
    endView();
    ended.abort();
  }
}

async function applyAll(
  socketPath: string,
  texts: readonly ManifestText[],
  options: UpOptions,
): Promise<void> {
  await applyTexts(connectControl({ socketPath }), texts, {
    namespace: options.namespace,
    ignoreUnknown: options.ignoreUnknown,
  });
}

/** Ends every instance as `pg_ctl stop -m fast` does, and the agents beside other servers, all at once. */
async function stopInstances(plane: ControlPlane, leave: boolean): Promise<void> {
  const { instances, servers } = plane;
  const all = await Promise.all(instances.clusters().map(async (cluster) => instances.facts(cluster)));
  const alive = all.flat().filter(({ isProcessAlive, isServerAlive }) => isProcessAlive || isServerAlive);
  const agents = await Promise.all(servers.servers().map(async (server) => servers.isAlive(server)));
  const beside = agents.filter((isAlive) => isAlive).length;
  const what = [
    ...(alive.length === 0 ? [] : [plural(alive.length, "instance")]),
    ...(beside === 0 ? [] : [plural(beside, "agent")]),
  ].join(" and ");
  // None that lives now; one may be about to be made.
  if (what === "") {
    if (!leave) await plane.stopInstances();
    return;
  }
  if (leave) {
    process.stdout.write(`${what} left running and archiving; tidemark up takes them up again.\n`);
    return;
  }
  process.stdout.write(`Stopping ${what} …\n`);
  const failures = await plane.stopInstances();
  if (failures.length > 0) {
    const list = failures.map(({ instance, error }) => `${instance} (${error})`).join(", ");
    throw new EngineError("postgres-failed", `not every instance has stopped: ${list}`, {
      hint: "tidemark up takes them up again.",
    });
  }
  process.stdout.write("Stopped. All data are kept; tidemark up starts them again.\n");
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(3_600_000, undefined, { signal }).catch(() => undefined);
}

function plural(count: number, word: string): string {
  return count === 1 ? `1 ${word}` : `${count} ${word}s`;
}
