import { archiveCommandLine, quoteForCommandSetting } from "../../agent/shell-text.ts";
import { spoolRootOf } from "../../agent/spool.ts";
import { recoveryParameters } from "../../postgres/recovery-settings.ts";
import type { Settings } from "../../postgres/settings-file.ts";
import type { SystemIdentifier } from "../../postgres/system-identifier.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { configurationFiles } from "./configuration-files.ts";
import { slotNameOf } from "./slot-name.ts";
import { standbyRestoreCommand } from "./standby-restore.ts";

/*
 * What a server is told on its command line: it wins over every file, ALTER SYSTEM's included, and over every reload. So
 * all of it takes a restart to change, which is why whether WAL is archived is not here but a file that the archive
 * command looks for: a cluster can be given an archive while it runs.
 */

/**
 * The settings for `startServer` on the instance's data directory, beside its `port`, `socketDirectory` and `logFile`.
 * `system`: whose spool the acknowledgements are in (`readLocalSystem`). Pure: two that are equal need no restart.
 */
export function startSettings(
  folder: InstanceFolder,
  spec: InstanceSpec,
  system: SystemIdentifier,
): Settings {
  return {
    ...configurationSettings(folder),
    ...versionSettings(spec.major),
    ...noRecovery,
    // Used by a standby alone, like the slot: the same on a primary, so that none of them needs a restart to change places.
    restore_command: standbyRestoreCommand(folder),
    port: String(spec.port),
    listen_addresses: spec.listenAddresses,
    unix_socket_directories: spec.socketDirectory,
    archive_mode: "on",
    archive_command: archiveCommand(folder, system),
    hot_standby: "on",
    primary_slot_name: slotNameOf(spec.name),
  };
}

/** The settings for a server that only we use, on a data directory that is being made: it archives and waits for nobody. */
export function privateSettings(folder: InstanceFolder, major: number): Settings {
  return {
    ...configurationSettings(folder),
    ...versionSettings(major),
    archive_mode: "off",
    // There is no standby yet to answer.
    synchronous_standby_names: "",
    // What is run now may take as long as it likes, and may write.
    statement_timeout: "0",
    default_transaction_read_only: "off",
    // The statements that make a cluster may hold passwords.
    log_statement: "none",
    log_min_error_statement: "panic",
    log_min_duration_statement: "-1",
  };
}

/** Where the configuration is, and that the log is where whoever starts the server looks for it. */
function configurationSettings(folder: InstanceFolder): Settings {
  const { server, hba, ident } = configurationFiles(folder);
  return {
    config_file: server,
    hba_file: hba,
    ident_file: ident,
    log_destination: "stderr",
    logging_collector: "off",
  };
}

/** Parameters that some versions do not know. */
function versionSettings(major: number): Settings {
  return {
    ...(major >= 15 ? { archive_library: "" } : {}),
    ...(major <= 15 ? { promote_trigger_file: "" } : {}),
  };
}

/**
 * A standby follows its primary to the end, on whatever timeline; of a recovery that the data directory still speaks of
 * nothing is left.
 */
const noRecovery: Settings = {
  ...Object.fromEntries([...recoveryParameters].map((name) => [name, ""])),
  recovery_target_action: "promote",
  recovery_target_inclusive: "on",
  recovery_target_timeline: "latest",
};

function archiveCommand(folder: InstanceFolder, system: SystemIdentifier): string {
  const off = quoteForCommandSetting(configurationFiles(folder).archivingOff);
  return `test -e ${off} && exit 0; ${archiveCommandLine(spoolRootOf(folder.spool, system))}`;
}
