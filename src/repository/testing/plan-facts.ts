import { parseLsn, type Lsn } from "../../postgres/lsn.ts";
import { parseTimelineHistory } from "../../postgres/timeline-history.ts";
import { timelineId, type TimelineId } from "../../postgres/timeline.ts";
import {
  lastSegmentBefore,
  parseWalFileName,
  segmentContaining,
  type WalSegmentName,
} from "../../postgres/wal-file-name.ts";
import { parseBackupId } from "../backup-id.ts";
import type { FinishedEntry } from "../catalogue.ts";
import type { PlanFacts } from "../recovery-plan.ts";
import type { WalInventory, WalObject } from "../wal-inventory.ts";

/** Facts for tests of the planner, in a small language. Segments have 16 MiB unless said otherwise. */

export const mib16 = 16 * 1024 * 1024;

/** Objects for segments written as `timeline:number` with hexadecimal numbers, ranges as `1:2-5`. */
export function inventoryOf(
  ranges: readonly string[],
  segmentSizeBytes = mib16,
): WalInventory & { readonly segments: Map<WalSegmentName, WalObject> } {
  const segments = new Map<WalSegmentName, WalObject>();
  for (const range of ranges) {
    const [timeline = "", numbers = ""] = range.split(":");
    const [first = "", last = first] = numbers.split("-");
    for (let number = BigInt(`0x${first}`); number <= BigInt(`0x${last}`); number++) {
      const name = segmentContaining(
        (number * BigInt(segmentSizeBytes)) as Lsn,
        timelineId(Number(timeline)),
        segmentSizeBytes,
      );
      segments.set(name, walObjectNamed(name));
    }
  }
  return { segments, partials: new Map(), histories: new Map() };
}

export function walObjectNamed(name: string, modifiedAt = new Date("2026-11-21T12:00:00Z")): WalObject {
  const file = parseWalFileName(name);
  if (file === undefined) throw new Error(`"${name}" is no WAL file`);
  return { file, key: `srv/wals/${name}`, codec: "none", sizeBytes: 1, modifiedAt };
}

export interface SampleBackup {
  readonly id: string;
  readonly timeline?: number;
  readonly begin: string;
  readonly end: string;
  readonly endTime?: string;
}

export function backupEntry(sample: SampleBackup, segmentSizeBytes = mib16): FinishedEntry {
  const timeline = timelineId(sample.timeline ?? 1);
  const [beginLsn, endLsn] = [parseLsn(sample.begin), parseLsn(sample.end)];
  const endTime = new Date(sample.endTime ?? "2026-11-21T10:00:00Z");
  return {
    kind: "done",
    id: parseBackupId(sample.id),
    keep: undefined,
    info: {
      kind: "done",
      backupName: undefined,
      backupLabel: "",
      beginTime: endTime,
      endTime,
      beginWal: segmentContaining(beginLsn, timeline, segmentSizeBytes),
      endWal: lastSegmentBefore(endLsn, timeline, segmentSizeBytes),
      beginLsn,
      endLsn,
      timeline,
      walSegmentSizeBytes: segmentSizeBytes,
      systemIdentifier: undefined,
      serverVersion: 170_010,
      pgdata: "/pgdata",
      configFile: undefined,
      hbaFile: undefined,
      identFile: undefined,
      includedFiles: [],
      tablespaces: [],
      copyStats: undefined,
    },
  };
}

/** `histories`: the text of each history file by timeline. */
export function planFacts(
  backups: readonly SampleBackup[],
  ranges: readonly string[],
  histories: Readonly<Record<number, string>> = {},
  segmentSizeBytes = mib16,
): PlanFacts {
  return {
    backups: backups.map((sample) => backupEntry(sample, segmentSizeBytes)),
    inventory: inventoryOf(ranges, segmentSizeBytes),
    damagedHistories: new Map(),
    histories: new Map(
      Object.entries(histories).map(
        ([timeline, text]): [TimelineId, ReturnType<typeof parseTimelineHistory>] => [
          timelineId(Number(timeline)),
          parseTimelineHistory(timelineId(Number(timeline)), text),
        ],
      ),
    ),
  };
}
