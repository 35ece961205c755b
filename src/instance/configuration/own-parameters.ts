import { recoveryParameters } from "../../postgres/recovery-settings.ts";

/**
 * The parameters of a server that its instance decides about, whoever else names them: where its files are, how it is
 * reached, where its WAL goes, how it recovers and follows, where its log goes. Lower case.
 */
export const ownParameters: ReadonlySet<string> = new Set([
  ...recoveryParameters,
  "archive_command",
  "archive_library",
  "archive_mode",
  "config_file",
  "data_directory",
  "external_pid_file",
  "hba_file",
  "hot_standby",
  "ident_file",
  // No parameters, but a line of that form would read another file.
  "include",
  "include_dir",
  "include_if_exists",
  "listen_addresses",
  "log_destination",
  "logging_collector",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "promote_trigger_file",
  // PostgreSQL 13 and 14 empty it as they start, and it may be another server's.
  "stats_temp_directory",
  "unix_socket_directories",
]);

/** Whether a parameter belongs to the instance; PostgreSQL does not tell upper case from lower. */
export function isOwnParameter(name: string): boolean {
  return ownParameters.has(name.toLowerCase());
}
