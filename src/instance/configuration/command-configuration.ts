import type { ServerUser } from "../../postgres/server-process.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { ArchiveSpec } from "../archive-spec.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { configurationFiles } from "./configuration-files.ts";
import { makeOwnDirectory, removeFile, writeIfChanged } from "./own-files.ts";
import { restoreScript } from "./standby-restore.ts";

/*
 * PostgreSQL asks for WAL to be archived, or fetched, also while the instance's process is not there. Then it runs this
 * program anew, which reads what it needs from a configuration file of its own (docs/configuration.md; JSON is YAML).
 */

/**
 * Writes the configuration files for those commands from the specification, durably, only when they differ; removes one
 * that has no use any more. They hold no secret, but name files that do. Throws `file-io`, `disk-full`.
 */
export async function writeCommandConfiguration(
  folder: InstanceFolder,
  spec: InstanceSpec,
  program: readonly string[],
): Promise<void> {
  const user = await chooseServerUser(folder.root);
  const files = configurationFiles(folder);
  await makeOwnDirectory(folder.configuration, user);
  await writeOrRemove(files.archive, archiveConfiguration(folder, spec), user);
  await writeOrRemove(files.recovery, recoveryConfiguration(spec), user);
  await writeOrRemove(files.standby, standbyConfiguration(spec), user);
  await writeIfChanged(files.restoreScript, restoreScript(folder, program), user);
}

/** The command line that archives a WAL file without the instance's process; the file's path is added. */
export function pushCommand(program: readonly string[], folder: InstanceFolder): readonly string[] {
  return [...program, "wal", "push", "--config", configurationFiles(folder).archive];
}

/** The command line that fetches a WAL file for a recovery; the file's name and destination are added. */
export function fetchCommand(program: readonly string[], folder: InstanceFolder): readonly string[] {
  return [...program, "wal", "fetch", "--config", configurationFiles(folder).recovery];
}

function archiveConfiguration(
  { data, spool }: InstanceFolder,
  { archive, binDirectory }: InstanceSpec,
): unknown {
  return archive && pushConfiguration({ dataDirectory: data, spoolDirectory: spool, binDirectory, archive });
}

/** What `tidemark wal push` has to know to archive in the place of an agent. */
export function pushConfiguration(given: {
  readonly dataDirectory: string;
  readonly spoolDirectory: string;
  readonly binDirectory: string | undefined;
  readonly archive: ArchiveSpec;
}): Readonly<Record<string, unknown>> {
  const { dataDirectory, spoolDirectory, binDirectory, archive } = given;
  const { server, repositories, walCompression, walConcurrency, policy } = archive;
  return {
    server,
    repositories,
    postgres: { dataDirectory, binDirectory },
    wal: { compression: walCompression, concurrency: walConcurrency, policy },
    spoolDirectory,
  };
}

function recoveryConfiguration({ bootstrap }: InstanceSpec): unknown {
  if (bootstrap.kind !== "recovery") return undefined;
  return { server: bootstrap.server, repositories: bootstrap.repositories };
}

function standbyConfiguration({ archive }: InstanceSpec): unknown {
  return archive === undefined ? undefined : { server: archive.server, repositories: archive.repositories };
}

async function writeOrRemove(path: string, content: unknown, user: ServerUser | undefined): Promise<void> {
  if (content === undefined) await removeFile(path);
  else await writeIfChanged(path, `${JSON.stringify(content, undefined, 2)}\n`, user);
}
