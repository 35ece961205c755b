import { EngineError } from "../common/errors.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { parseTargetTime } from "../postgres/recovery-settings-time.ts";
import { checkedTargetName, checkedXid, type RecoveryTarget } from "../postgres/recovery-settings.ts";
import { timelineId, type TimelineId } from "../postgres/timeline.ts";

export interface TargetOptions {
  readonly toLatest?: boolean;
  readonly toImmediate?: boolean;
  readonly toTime?: string;
  readonly toLsn?: string;
  readonly toXid?: string;
  readonly toName?: string;
  readonly exclusive?: boolean;
  readonly timeline?: string;
}

/** What the flags ask for, and what the person should be told about how they were read. */
export interface ParsedTarget {
  readonly target: RecoveryTarget;
  readonly notes: readonly string[];
}

/** Reads the `--to-…` flags; none means `latest`. Throws `usage` for several, and for values of the wrong form. */
export function parseTarget(options: TargetOptions): ParsedTarget {
  const given = [
    options.toLatest === true ? "--to-latest" : undefined,
    options.toImmediate === true ? "--to-immediate" : undefined,
    options.toTime === undefined ? undefined : "--to-time",
    options.toLsn === undefined ? undefined : "--to-lsn",
    options.toXid === undefined ? undefined : "--to-xid",
    options.toName === undefined ? undefined : "--to-name",
  ].filter((flag) => flag !== undefined);
  if (given.length > 1) {
    throw new EngineError("usage", `${given.join(" and ")} exclude each other`, { hint: "Give one target." });
  }
  const inclusive = options.exclusive !== true;
  const takesExclusive = options.toTime ?? options.toLsn ?? options.toXid;
  if (!inclusive && takesExclusive === undefined) {
    throw new EngineError("usage", "--exclusive needs --to-time, --to-lsn or --to-xid");
  }
  if (options.toTime !== undefined) {
    const { canonical, hadZone } = parseTargetTime(options.toTime);
    const notes = hadZone ? [] : [`"${options.toTime}" has no time zone and was read as UTC: ${canonical}`];
    return { target: { kind: "time", time: canonical, inclusive }, notes };
  }
  if (options.toLsn !== undefined) return plain({ kind: "lsn", lsn: parseLsnFlag(options.toLsn), inclusive });
  if (options.toXid !== undefined) return plain({ kind: "xid", xid: checkedXid(options.toXid), inclusive });
  if (options.toName !== undefined) return plain({ kind: "name", name: checkedTargetName(options.toName) });
  return plain(options.toImmediate === true ? { kind: "immediate" } : { kind: "latest" });
}

const plain = (target: RecoveryTarget): ParsedTarget => ({ target, notes: [] });

function parseLsnFlag(text: string): ReturnType<typeof parseLsn> {
  try {
    return parseLsn(text);
  } catch {
    throw new EngineError("usage", `--to-lsn is "${text}", which is not an LSN`, {
      hint: "Write an LSN as PostgreSQL does, for example 16/B374D848.",
    });
  }
}

/** `latest` or a timeline in decimal, as PostgreSQL's `recovery_target_timeline`. Throws `usage`. */
export function parseTimeline(text: string | undefined): "latest" | TimelineId {
  if (text === undefined || text === "latest") return "latest";
  if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) < 2 ** 32) return timelineId(Number(text));
  throw new EngineError("usage", `--timeline is "${text}", which is no timeline`, {
    hint: 'Give a timeline as a number from 1 on, or "latest".',
  });
}
