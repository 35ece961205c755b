import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";
import type { ControlFile } from "../postgres/control-file.ts";
import { writeRecoverySettings } from "../postgres/recovery-settings-file.ts";
import { formatRecoverySettings, type RecoveryAction } from "../postgres/recovery-settings.ts";
import { editSettingsFile, withoutSettingsBlock, withSettingsBlock } from "../postgres/settings-file.ts";
import type { RecoveryPlan } from "../repository/recovery-plan.ts";
import { requiredMinimums } from "./configuration.ts";
import { removeForeignPlaces } from "./foreign-places.ts";
import { useStoredConfiguration } from "./stored-configuration.ts";

export interface RecoveryOptions {
  /** Shell command with `%f` and `%p`. */
  readonly restoreCommand: string;
  /** Default `promote`. */
  readonly action?: RecoveryAction;
  /**
   * `off` (the default) sets `archive_mode = off`: a restored server must not by accident archive into the repository it
   * came from. `preserve` leaves archiving as the backup had it.
   */
  readonly archiving?: "off" | "preserve";
  /**
   * `restored` (the default) starts the server with the backup's configuration. `outside`: with files elsewhere, which say
   * all that it needs, also that it does not archive; then of what the backup has in `postgresql.auto.conf`, which would win
   * over them, nothing stays.
   */
  readonly configuration?: "restored" | "outside";
}

const minimalConfiguration = "# The backup held no postgresql.conf: everything is at its default.\n";
const minimalAuthentication = `# The backup held no pg_hba.conf. TYPE DATABASE USER ADDRESS METHOD
local   all  all                peer
host    all  all  127.0.0.1/32  scram-sha-256
host    all  all  ::1/128       scram-sha-256
`;

/**
 * Sets up a restored directory for its recovery: configuration files that are missing, lines that lead elsewhere, the
 * parameters that recovery needs, archiving, and the recovery settings with `recovery.signal`. Safe to repeat. Returns
 * what a person should know of it.
 */
export async function writeRestoredSettings(
  dataDirectory: string,
  options: {
    readonly plan: RecoveryPlan;
    readonly control: ControlFile;
    readonly recovery: RecoveryOptions;
  },
): Promise<string[]> {
  const { plan, control, recovery } = options;
  const notes = await useStoredConfiguration(dataDirectory, plan.backup.info);
  const edit = (name: string, change: (text: string) => string) =>
    editSettingsFile(join(dataDirectory, name), dataDirectory, change);
  await edit("postgresql.conf", (text) => {
    if (text === "") notes.push("the backup holds no postgresql.conf; an empty one was written");
    return text === "" ? minimalConfiguration : text;
  });
  await edit("pg_hba.conf", (text) => {
    if (text === "") notes.push("the backup holds no pg_hba.conf; one for local connections was written");
    return text === "" ? minimalAuthentication : text;
  });
  await edit("pg_ident.conf", (text) => (text === "" ? "# MAP  SYSTEM-USER  ROLE\n" : text));

  notes.push(...(await removeForeignPlaces(dataDirectory)));
  const main = await readText(join(dataDirectory, "postgresql.conf"));
  await edit("postgresql.auto.conf", (text) => {
    if (recovery.configuration === "outside") return "";
    const rest = withoutSettingsBlock(withoutSettingsBlock(text, minimumsBlock), archivingBlock);
    const minimums = requiredMinimums([main, rest], control.settings);
    const raised = Object.entries(minimums).map(([name, value]) => `${name} = ${value}`);
    if (raised.length > 0) notes.push(`set for recovery, as on the origin: ${raised.join(", ")}`);
    const withMinimums = raised.length === 0 ? rest : withSettingsBlock(rest, minimumsBlock, minimums);
    if (recovery.archiving === "preserve") return withMinimums;
    notes.push(
      "archive_mode is off in the restored server; give it its own server name before turning it on",
    );
    return withSettingsBlock(withMinimums, archivingBlock, { archive_mode: "off" });
  });
  await writeRecoverySettings(
    dataDirectory,
    formatRecoverySettings({
      target: plan.target,
      // "current" is the backup's own; a number would make the server insist on a history file it cannot get.
      targetTimeline: plan.historyIsStored ? plan.history.timeline : "current",
      restoreCommand: recovery.restoreCommand,
      action: recovery.action ?? "promote",
    }),
  );
  return notes;
}

const minimumsBlock = "restore";
const archivingBlock = "archiving";

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw fileError("read", path, error);
  }
}
