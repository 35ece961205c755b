import { EngineError } from "../common/errors.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import type { TimelineId } from "./timeline.ts";
import { isCanonicalTime } from "./recovery-settings-time.ts";
import type { Settings } from "./settings-file.ts";

/**
 * Where recovery ends, in PostgreSQL's words (manual, "Recovery Target"). `inclusive` stops just after the target,
 * otherwise just before it.
 */
export type RecoveryTarget =
  /** The end of WAL. */
  | { readonly kind: "latest" }
  /** As soon as the base backup is consistent. */
  | { readonly kind: "immediate" }
  /** `time` in the canonical form of `parseTargetTime`. */
  | { readonly kind: "time"; readonly time: string; readonly inclusive: boolean }
  | { readonly kind: "lsn"; readonly lsn: Lsn; readonly inclusive: boolean }
  /** `xid`: decimal, 32 bits. */
  | { readonly kind: "xid"; readonly xid: string | bigint; readonly inclusive: boolean }
  /** A restore point, made by `pg_create_restore_point`; recovery ends just after it, always. */
  | { readonly kind: "name"; readonly name: string };

export type TargetTimeline = "latest" | "current" | TimelineId;

export type RecoveryAction = "promote" | "pause" | "shutdown";

export interface RecoveryPlanSettings {
  readonly target: RecoveryTarget;
  readonly targetTimeline: TargetTimeline;
  /** Shell command with `%f` and `%p`. */
  readonly restoreCommand: string;
  /** What the server does at the target. After `shutdown` recovery.signal stays, and the next start recovers again. */
  readonly action: RecoveryAction;
}

const targetParameters = [
  "recovery_target",
  "recovery_target_lsn",
  "recovery_target_name",
  "recovery_target_time",
  "recovery_target_xid",
] as const;

/**
 * Commands that a former standby's configuration may still hold. Archive recovery runs them too: a clean-up would delete
 * WAL from an archive that others live from.
 */
const foreignCommands = ["archive_cleanup_command", "recovery_end_command"] as const;

/** Every parameter that `formatRecoverySettings` may set: what must go when recovery is over. */
export const recoveryParameters: ReadonlySet<string> = new Set([
  ...targetParameters,
  ...foreignCommands,
  "recovery_target_action",
  "recovery_target_inclusive",
  "recovery_target_timeline",
  "restore_command",
]);

/**
 * The settings for one recovery, valid for every supported major version. The order of the keys matters: a
 * restored `postgresql.conf` may still name a target of an earlier recovery, and PostgreSQL allows only one. So the other
 * targets are set empty, and before the real one, because an assignment fails while another target is set
 * (assign_recovery_target_* in guc_hooks).
 *
 * @throws EngineError `usage` for a target that PostgreSQL would refuse or could never reach.
 */
export function formatRecoverySettings(plan: RecoveryPlanSettings): Settings {
  const { target } = plan;
  const assignment = targetAssignment(target);
  const settings: Record<string, string> = {};
  for (const name of targetParameters) {
    if (name !== assignment?.name) settings[name] = "";
  }
  if (assignment !== undefined) settings[assignment.name] = assignment.value;
  settings["recovery_target_inclusive"] = "inclusive" in target && !target.inclusive ? "false" : "true";
  settings["recovery_target_timeline"] = String(plan.targetTimeline);
  settings["recovery_target_action"] = plan.action;
  for (const name of foreignCommands) settings[name] = "";
  settings["restore_command"] = checkedCommand(plan.restoreCommand);
  return settings;
}

interface TargetAssignment {
  readonly name: (typeof targetParameters)[number];
  readonly value: string;
}

function targetAssignment(target: RecoveryTarget): TargetAssignment | undefined {
  switch (target.kind) {
    case "latest":
      return undefined;
    case "immediate":
      return { name: "recovery_target", value: "immediate" };
    case "time":
      return { name: "recovery_target_time", value: checkedTime(target.time) };
    case "lsn":
      return { name: "recovery_target_lsn", value: formatLsn(target.lsn) };
    case "xid":
      return { name: "recovery_target_xid", value: checkedXid(target.xid) };
    case "name":
      return { name: "recovery_target_name", value: checkedTargetName(target.name) };
  }
}

function checkedTime(time: string): string {
  if (isCanonicalTime(time)) return time;
  throw new EngineError("usage", `recovery target time "${time}" is not in its canonical form`, {
    hint: `Use parseTargetTime, which gives for example "2026-01-15 14:30:00.000000+00:00".`,
  });
}

/**
 * The transaction ID as decimal text. 0 to 2 are reserved by PostgreSQL and never commit, so recovery would run past
 * the end; more than 32 bits is the epoch form of `pg_current_xact_id()`, which WAL does not hold.
 */
export function checkedXid(xid: string | bigint): string {
  const value = typeof xid === "bigint" ? xid : /^\d{1,20}$/.test(xid) ? BigInt(xid) : -1n;
  if (value >= 3n && value < 1n << 32n) return value.toString();
  const hint =
    value >= 1n << 32n
      ? `Use its lower 32 bits: ${value & 0xffff_ffffn}.`
      : "A transaction ID is a whole number from 3 to 4294967295.";
  throw new EngineError("usage", `recovery target xid "${xid}" is not a transaction ID`, { hint });
}

/** A restore point's name: 1 to 63 bytes, no ASCII control characters. */
export function checkedTargetName(name: string): string {
  const bytes = Buffer.byteLength(name);
  // MAXFNAMELEN is 64 including the end mark; both pg_create_restore_point and the parameter refuse more.
  if (bytes === 0 || bytes > 63) {
    throw new EngineError("usage", `recovery target name "${name}" has ${bytes} bytes, not 1 to 63`, {
      hint: "PostgreSQL limits the name of a restore point to 63 bytes.",
    });
  }
  // oxlint-disable-next-line no-control-regex -- exactly these characters
  if (/[\u0000-\u001f\u007f]/.test(name)) {
    throw new EngineError(
      "usage",
      `recovery target name ${JSON.stringify(name)} contains a control character`,
    );
  }
  return name;
}

function checkedCommand(command: string): string {
  if (command.trim() !== "") return command;
  // The server refuses to start archive recovery without one (validateRecoveryParameters).
  throw new EngineError("usage", "restore_command is empty");
}
