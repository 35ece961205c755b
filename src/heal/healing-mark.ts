import { hostname } from "node:os";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { WalSegmentName } from "../postgres/wal-file-name.ts";
import type { RunningMark } from "../repository/running-mark.ts";

/** No server's: whoever copies a backup holds no server's lock, and an interrupted copy is taken over by the next one. */
const place = "(copied from another repository)";

/** The sign of life of a backup that is being copied: without it the folder would be taken for leftovers, and removed. */
export function healingMark(system: SystemIdentifier, beginWal: WalSegmentName | undefined): RunningMark {
  return {
    systemIdentifier: String(system),
    host: hostname(),
    dataDirectory: place,
    beginWal,
  };
}

export function isHealing({ dataDirectory }: RunningMark): boolean {
  return dataDirectory === place;
}
