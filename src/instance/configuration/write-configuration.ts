import { join } from "node:path";
import { readControlFile } from "../../backup/backup-source.ts";
import type { Clock } from "../../common/clock.ts";
import { editSettingsFile, withoutAssignments } from "../../postgres/settings-file.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { controlPath } from "../../restore/marker.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { formatHostBasedAuthentication, formatIdentityMap } from "./authentication.ts";
import { configurationFiles } from "./configuration-files.ts";
import { exists, makeOwnDirectory, removeFile, writeIfChanged } from "./own-files.ts";
import { ownParameters } from "./own-parameters.ts";
import {
  formatServerConfiguration,
  type ControlFacts,
  type ServerConfiguration,
} from "./server-configuration.ts";

export interface WrittenConfiguration extends Pick<ServerConfiguration, "ignored" | "raised"> {
  /** Whether any file is another one now: a running server should read them again. */
  readonly changed: boolean;
}

/**
 * Writes the server's configuration files from the specification, each durably and only when it differs, and takes what
 * belongs to the instance out of `postgresql.auto.conf`, where ALTER SYSTEM may have put it. To be called before every
 * start: a standby's minimums follow its control file, which changes as it replays. Safe to repeat.
 *
 * @throws EngineError `usage` for a parameter's name that is none, `file-io`, `disk-full`, `postgres-format`, `aborted`.
 */
export async function writeConfiguration(options: {
  readonly folder: InstanceFolder;
  readonly spec: InstanceSpec;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<WrittenConfiguration> {
  const { folder, spec, clock, signal } = options;
  const hasData = await exists(join(folder.data, controlPath));
  if (!hasData) return writeConfigurationFiles(folder, spec, undefined);
  const { control } = await readControlFile(folder.data, clock, signal);
  const recovering = spec.role.kind === "standby";
  const written = await writeConfigurationFiles(folder, spec, { ...control, recovering });
  await removeOwnParameters(folder.data);
  return written;
}

/** The same for the server of another data directory, or of none yet, which is not touched. */
export async function writeConfigurationFiles(
  folder: InstanceFolder,
  spec: InstanceSpec,
  control: ControlFacts | undefined,
): Promise<WrittenConfiguration> {
  const user = await chooseServerUser(folder.root);
  const files = configurationFiles(folder);
  const { text, ignored, raised } = formatServerConfiguration(spec, control);
  await makeOwnDirectory(folder.configuration, user);
  const changes = [
    await writeIfChanged(files.server, text, user),
    await writeIfChanged(files.hba, formatHostBasedAuthentication(spec), user),
    await writeIfChanged(files.ident, formatIdentityMap(spec, user), user),
  ];
  if (spec.archive === undefined) await writeIfChanged(files.archivingOff, "", user);
  else await removeFile(files.archivingOff);
  return { changed: changes.includes(true), ignored, raised };
}

/**
 * Takes out of `postgresql.auto.conf`, which wins over `postgresql.conf`, what ALTER SYSTEM set although it is the
 * instance's. (Most of it would lose against the command line, but not `primary_conninfo`, which may not stand there.)
 */
export async function removeOwnParameters(dataDirectory: string): Promise<void> {
  await editSettingsFile(join(dataDirectory, "postgresql.auto.conf"), dataDirectory, (text) =>
    withoutAssignments(text, ownParameters),
  );
}
