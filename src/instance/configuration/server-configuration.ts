import { mib } from "../../common/units.ts";
import type { ControlFile } from "../../postgres/control-file.ts";
import { formatSetting, type Settings } from "../../postgres/settings-file.ts";
import { requiredMinimums } from "../../restore/configuration.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { isOwnParameter } from "./own-parameters.ts";

/** An instance's `postgresql.conf`, and what of the specification is not in it as it was written. */
export interface ServerConfiguration {
  readonly text: string;
  /** Names of parameters whose values were not taken. */
  readonly ignored: readonly string[];
  /** Parameters that must be higher than was said, with the values they have now. */
  readonly raised: Settings;
}

const header = `# Written by Tidemark from the instance's specification; changes made here are lost.
# What the instance decides itself (files, port, sockets, archiving, recovery) is on the server's command line.
`;

/** What of a control file a configuration depends on. */
export interface ControlFacts extends Pick<ControlFile, "walSegmentSizeBytes" | "settings"> {
  /** Whether the server is going to replay WAL, of a primary or of an archive. */
  readonly recovering: boolean;
}

/**
 * Writes `postgresql.conf`: the specification's parameters, and what follows from its role. It holds what a reload can
 * take up; what nobody may override is on the command line (`startSettings`).
 *
 * `control` is undefined before there is a data directory. A server in recovery is given at least what its control file says:
 * with less than the server had that wrote the WAL, a hot standby does not start, or pauses. Throws `usage` for names that
 * are none of parameters.
 */
export function formatServerConfiguration(
  spec: Pick<InstanceSpec, "parameters" | "role" | "name">,
  control: ControlFacts | undefined,
): ServerConfiguration {
  const ignored: string[] = [];
  const lines = Object.entries(defaults(control)).map(([name, value]) => formatSetting(name, value));
  for (const [name, value] of Object.entries(spec.parameters)) {
    if (isOwnParameter(name) || isTooLittleWal(name, value)) ignored.push(name);
    else lines.push(formatSetting(name, value));
  }
  const raised = control?.recovering === true ? requiredMinimums([lines.join("\n")], control.settings) : {};
  for (const [name, value] of Object.entries(raised)) lines.push(formatSetting(name, value));
  // Empty on a primary, so that one that follows again later finds nothing old.
  lines.push(formatSetting("primary_conninfo", primaryConnection(spec)));
  return { text: `${header}${lines.join("\n")}\n`, ignored, raised };
}

/**
 * What initdb writes into the file that is not read here, where the servers' own defaults are others: they stand first, and
 * whatever the specification says of them wins. (13 has 8 MB of buffers and MD5; 64 segments of WAL are 1 GB only where a
 * segment has 16 MB, and a server does not start when the least amount of WAL is below two of them.)
 */
function defaults(control: ControlFacts | undefined): Settings {
  const segments = (count: number) => `${(count * (control?.walSegmentSizeBytes ?? 16 * mib)) / mib}MB`;
  return {
    shared_buffers: "128MB",
    password_encryption: "scram-sha-256",
    min_wal_size: segments(5),
    max_wal_size: segments(64),
    timezone: "UTC",
    log_timezone: "UTC",
    lc_messages: "C",
    default_text_search_config: "pg_catalog.english",
  };
}

/** With minimal WAL there is neither archiving nor a standby, and the server refuses to start. */
function isTooLittleWal(name: string, value: string): boolean {
  return name.toLowerCase() === "wal_level" && value.trim().toLowerCase() === "minimal";
}

/** No password: the primary's socket is on this machine, and knows the server's user (`pg_ident.conf`). */
function primaryConnection({ role, name }: Pick<InstanceSpec, "role" | "name">): string {
  if (role.kind === "primary") return "";
  const parts = { host: role.host, port: String(role.port), user: "postgres", application_name: name };
  return Object.entries(parts)
    .map(([key, value]) => `${key}=${quoteConnectionValue(value)}`)
    .join(" ");
}

/** As libpq reads connection strings (manual, "Keyword/Value Connection Strings"). */
function quoteConnectionValue(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
