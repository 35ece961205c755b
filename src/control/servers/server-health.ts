import { archiveSettings } from "../../agent/archive-settings.ts";
import type { AttachedPostgres, AttachedStatus } from "../../instance/attached/attached-status.ts";
import type { InstanceFailure } from "../../instance/instance-status.ts";
import { formatSetting } from "../../postgres/settings-file.ts";
import { parseSystemIdentifier, type SystemIdentifier } from "../../postgres/system-identifier.ts";
import { isTakenBySomeStore } from "../clusters/archiving-trouble.ts";
import { archivingCondition } from "../clusters/cluster-report.ts";
import { describeFailure } from "../clusters/describe-failure.ts";
import type { Condition } from "../resources/conditions.ts";
import type { ServerTrouble } from "./decide-agent.ts";

type NewCondition = Omit<Condition, "lastTransitionTime">;

/** How a server is. */
export interface ServerHealth {
  readonly phase: string;
  /** Why it is not `Archiving`. */
  readonly phaseReason: string | undefined;
  readonly ready: NewCondition;
  /** Undefined while nothing is known. */
  readonly archiving: NewCondition | undefined;
  /** What keeps a base backup from being worth anything; undefined while nothing does. */
  readonly backupTrouble: string | undefined;
}

export const healthyPhase = "Archiving";

/** Judges what the process beside a server says of it; `trouble` is what is known without it. */
export function judgeServer(
  trouble: ServerTrouble | undefined,
  status: AttachedStatus | undefined,
): ServerHealth {
  const found = trouble ?? (status === undefined ? unanswered : postgresTrouble(status));
  const archiving = status === undefined ? undefined : archivingOf(status);
  const failing = archiving?.status === "False" ? archiving.message : undefined;
  return {
    phase: found?.phase ?? (failing === undefined ? healthyPhase : "Archiving fails"),
    phaseReason: found?.message ?? failing,
    ready:
      found === undefined
        ? { type: "Ready", status: "True", reason: "ServerIsReady", message: "Server is ready" }
        : { type: "Ready", status: "False", reason: found.reason, message: found.message },
    archiving,
    // A store that fails is left out of a backup; the others have what it needs.
    backupTrouble:
      found?.message ?? (status !== undefined && isTakenBySomeStore(status) ? undefined : failing),
  };
}

const unanswered: ServerTrouble = {
  phase: "Starting the agent",
  reason: "AgentNotRunning",
  message: "the agent does not answer",
};

function postgresTrouble(status: AttachedStatus): ServerTrouble | undefined {
  const { postgres, postgresError, systemIdentifier } = status;
  if (postgres === undefined) {
    const message = postgresError === undefined ? "it has not answered yet" : unreachable(postgresError);
    return { phase: "PostgreSQL does not answer", reason: "PostgresUnreachable", message };
  }
  if (systemIdentifier !== undefined && postgres.systemIdentifier !== systemIdentifier) {
    return {
      phase: "Refused",
      reason: "SystemMismatch",
      message: `the connection leads to system ${postgres.systemIdentifier}, and the data directory is that of system ${systemIdentifier}: correct connection or dataDirectory`,
    };
  }
  const message = settingsTrouble(status, postgres);
  if (message === undefined) return undefined;
  return { phase: "PostgreSQL does not archive here", reason: "ArchivingNotConfigured", message };
}

/** The advice of a session's error is for commands, where it speaks of passwords. */
function unreachable(failure: InstanceFailure): string {
  return failure.hint?.includes("PGPASSWORD") === true
    ? `${failure.message}. Correct connection.user, or the Secret that connection.password names`
    : describeFailure(failure);
}

/** The lines for postgresql.conf; undefined while nobody knows which system it is. */
export function settingsFor({ archiveCommand }: Pick<AttachedStatus, "archiveCommand">): string | undefined {
  if (archiveCommand === undefined) return undefined;
  const lines = Object.entries(archiveSettings(archiveCommand));
  return lines.map(([name, value]) => `${formatSetting(name, value)}\n`).join("");
}

/** Why PostgreSQL's settings do not give its WAL to the agent, with what they have to be. */
function settingsTrouble(
  { archiveCommand }: AttachedStatus,
  { archiveMode, archivingBy }: AttachedPostgres,
): string | undefined {
  const line = archiveCommand === undefined ? "" : formatSetting("archive_command", archiveCommand);
  if (archiveMode === "off") {
    return `archive_mode is off: write archive_mode = 'on' and ${line} into postgresql.conf and restart PostgreSQL`;
  }
  const doIt = `write ${line} into postgresql.conf and reload it (SELECT pg_reload_conf())`;
  switch (archivingBy) {
    case "agent":
      return undefined;
    case "nobody":
      return `archive_command is empty: ${doIt}`;
    case "library":
      return `archive_library is set, so archive_command is not asked: empty it, ${doIt}`;
    case "command":
      return `archive_command does not ask this agent: ${doIt}`;
  }
}

/** The agent's view, then PostgreSQL's own. */
function archivingOf(status: AttachedStatus): NewCondition | undefined {
  const { postgres, archivingError } = status;
  const bySettings = postgres && settingsTrouble(status, postgres);
  if (archivingError !== undefined) return failing(describeFailure(archivingError));
  if (bySettings !== undefined) return failing(bySettings);
  const byAgent = archivingCondition(status);
  if (byAgent?.status === "False" || postgres === undefined) return byAgent;
  const last = archiverFailure(postgres);
  if (last === undefined) return byAgent;
  return failing(
    `PostgreSQL says that archive_command last failed for ${last.name} at ${last.at}; its log has the command's output`,
  );
}

function failing(message: string): NewCondition {
  return { type: "ContinuousArchiving", status: "False", reason: "ContinuousArchivingFailing", message };
}

/** What `archive_command` failed for last, unless it has archived something since. */
export function archiverFailure({
  archiver: { lastArchived, lastFailed },
}: AttachedPostgres): AttachedPostgres["archiver"]["lastFailed"] {
  const isOver = lastFailed === undefined || (lastArchived !== undefined && lastArchived.at >= lastFailed.at);
  return isOver ? undefined : lastFailed;
}

/** The system that retention may act for: that of a running primary, when connection and data directory agree about it. */
export function systemOfServer(status: AttachedStatus | undefined): SystemIdentifier | undefined {
  const { postgres, systemIdentifier } = status ?? {};
  return postgres?.role === "primary" && postgres.systemIdentifier === systemIdentifier
    ? parseSystemIdentifier(postgres.systemIdentifier)
    : undefined;
}
