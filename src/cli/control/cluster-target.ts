import { EngineError } from "../../common/errors.ts";
import type { WantedTarget } from "../../control/clusters/recovery-bootstrap.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import { parseTargetTime } from "../../postgres/recovery-settings-time.ts";
import { checkedTargetName, checkedXid } from "../../postgres/recovery-settings.ts";

export interface ClusterTarget {
  readonly target: WantedTarget;
  /** How it was read, where that is not plain. */
  readonly notes: readonly string[];
}

/**
 * The moment that `--to` names: `latest`, `immediate`, a time, an LSN, `xid:1234` or `name:before-migration`. Throws `usage`.
 */
export function parseClusterTarget(text: string, isExclusive: boolean): ClusterTarget {
  const inclusive = !isExclusive;
  const plain = (target: WantedTarget): ClusterTarget => {
    if (isExclusive && !("inclusive" in target)) {
      throw new EngineError("usage", "--exclusive needs a time, an LSN or a transaction");
    }
    return { target, notes: [] };
  };
  if (text === "latest" || text === "immediate") return plain({ kind: text });
  const [, kind, value = ""] = /^(xid|name|lsn|time):(.*)$/s.exec(text) ?? [];
  if (kind === "xid") return plain({ kind: "xid", xid: checkedXid(value), inclusive });
  if (kind === "name") return plain({ kind: "name", name: checkedTargetName(value) });
  if (kind === "lsn" || (kind === undefined && /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(text))) {
    const lsn = kind === "lsn" ? value : text;
    parseLsn(lsn);
    return plain({ kind: "lsn", lsn, inclusive });
  }
  const time = kind === "time" ? value : text;
  const { canonical, hadZone } = parseTime(time);
  const notes = hadZone ? [] : [`"${time}" has no time zone and is read as UTC: ${canonical}`];
  return { target: { kind: "time", time: canonical, inclusive }, notes };
}

function parseTime(text: string): ReturnType<typeof parseTargetTime> {
  try {
    return parseTargetTime(text);
  } catch (cause) {
    throw new EngineError("usage", `--to is "${text}", which is no moment`, {
      cause,
      hint: "Write latest, immediate, a time such as '2026-11-21 14:29:59+00', an LSN such as 16/B374D848, xid:1234, or name:before-migration.",
    });
  }
}

/** As `recoveryTarget` of a manifest has it; empty for the end of the archive. */
export function targetFields(target: WantedTarget): Record<string, unknown> {
  const exclusive = "inclusive" in target && !target.inclusive ? { exclusive: true } : {};
  switch (target.kind) {
    case "latest":
      return {};
    case "immediate":
      return { targetImmediate: true };
    case "time":
      return { targetTime: target.time.replace(" ", "T"), ...exclusive };
    case "lsn":
      return { targetLSN: target.lsn, ...exclusive };
    case "xid":
      return { targetXID: target.xid, ...exclusive };
    case "name":
      return { targetName: target.name };
  }
}
