import { readControlFile } from "../../backup/backup-source.ts";
import type { StartOptions } from "../../postgres/server.ts";
import { privateSettings } from "../configuration/start-settings.ts";
import { writeConfigurationFiles } from "../configuration/write-configuration.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";

/**
 * How the server of an attempt is started that replays another server's WAL: it archives nowhere, listens nowhere but on a
 * private socket, and its configuration is the instance's. Writes that configuration. Throws `file-io`, `postgres-format`.
 */
export async function prepareStart(
  job: Omit<BootstrapJob<InstanceBootstrap["kind"]>, "bootstrap">,
): Promise<StartOptions> {
  const { folder, spec, attempt, binaries, clock, signal } = job;
  const { control } = await readControlFile(attempt.data, clock, signal);
  await writeConfigurationFiles(folder, spec, { ...control, recovering: true });
  return {
    binaries,
    dataDirectory: attempt.data,
    settings: privateSettings(folder, binaries.major),
    logFile: folder.serverLog,
  };
}
