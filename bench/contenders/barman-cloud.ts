import { formatRecoverySettings } from "../../src/postgres/recovery-settings.ts";
import { writeRecoverySettings } from "../../src/postgres/recovery-settings-file.ts";
import { run, type CommandLine } from "../measure/program.ts";
import { requireS3 } from "../s3/server.ts";
import type { Contender, OpenRepository, Place } from "./contender.ts";

const serverName = "bench";

/** Barman's cloud tools with gzip and their default of two upload processes, the settings CloudNativePG uses most. */
export function barmanCloudContender(): Contender {
  return {
    id: "barman-cloud-s3-gzip",
    title: "barman-cloud, gzip",
    store: "s3",
    ours: false,
    slow: true,
    abilities: new Set(["archive", "backup", "restore", "replay", "help"] as const),
    help: { program: "barman-cloud-backup", args: ["--help"] },
    open,
  };
}

async function open(place: Place): Promise<OpenRepository> {
  const s3 = requireS3(place.s3);
  const prefix = s3.freshPrefix("barman");
  const url = `s3://${s3.bucket}/${prefix}`;
  const common = ["--cloud-provider", "aws-s3", "--endpoint-url", s3.endpoint];
  const { host, port } = place.cluster.server.connection;
  const command = (program: string, ...args: string[]): CommandLine => ({
    program,
    args: [...common, ...args],
    environment: s3.environment,
  });
  return {
    startResident: async () => undefined,
    archiveCommand: async () =>
      ["barman-cloud-wal-archive", ...common, "--gzip", url, serverName, "%p"].join(" "),
    backup: command(
      "barman-cloud-backup",
      "--gzip",
      "--jobs",
      "2",
      "--immediate-checkpoint",
      "-h",
      host,
      "-p",
      String(port),
      "-U",
      "postgres",
      url,
      serverName,
    ),
    restore: async (directory, target) => {
      const list = command("barman-cloud-backup-list", "--format", "json", url, serverName);
      const backupId = parseOnlyBackup(await run(list, { user: place.workspace.user }));
      return {
        kind: "restore",
        command: command("barman-cloud-restore", url, serverName, backupId, directory),
        serverEnvironment: s3.environment,
        // Barman's cloud tools leave the recovery settings to the operator.
        afterwards: () =>
          writeRecoverySettings(
            directory,
            formatRecoverySettings({
              target: { kind: "lsn", lsn: target, inclusive: true },
              targetTimeline: "latest",
              action: "pause",
              restoreCommand: ["barman-cloud-wal-restore", ...common, url, serverName, "%f", "%p"].join(" "),
            }),
          ),
      };
    },
    storedBytes: () => s3.storedBytes(prefix),
    [Symbol.asyncDispose]: () => s3.removePrefix(prefix),
  };
}

function parseOnlyBackup(json: string): string {
  const { backups_list: backups } = JSON.parse(json) as {
    readonly backups_list: readonly { readonly backup_id: string }[];
  };
  const id = backups[0]?.backup_id;
  if (id === undefined) throw new Error(`barman-cloud-backup-list shows no backup: ${json}`);
  return id;
}
