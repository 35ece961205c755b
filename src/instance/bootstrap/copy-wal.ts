import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, fileError } from "../../common/errors.ts";
import type { Lsn } from "../../postgres/lsn.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { giveTo } from "../../postgres/settings-file.ts";
import type { TimelineId } from "../../postgres/timeline.ts";
import {
  lastSegmentBefore,
  segmentContaining,
  segmentsBetween,
  timelineHistoryFileName,
} from "../../postgres/wal-file-name.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import type { Attempt } from "./attempt.ts";
import { FileCopier } from "./copy-file.ts";

/** The WAL of a backup that has just ended. */
interface BackupWal {
  /** The data directory of the server that wrote it, which keeps it meanwhile. */
  readonly from: string;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly timeline: TimelineId;
  readonly segmentSizeBytes: number;
  /** Where it goes; the directories of `pg_wal` are there. */
  readonly attempt: Pick<Attempt, "data">;
  readonly user: ServerUser | undefined;
  readonly signal: AbortSignal;
}

/**
 * Copies the WAL from a primary's backup, begin to end, and the history of its timeline. The last segment is complete: the end of a
 * backup switches segments (`do_pg_backup_stop`). All of it is marked as archived, because it is its origin's: the copy's
 * archive begins with the copy's own timeline (PostgreSQL's pg_basebackup marks it too, `mark_file_as_archived`).
 *
 * Throws `postgres-failed` for a segment that the server has lost (its `max_slot_wal_keep_size`, say), `file-io`, `disk-full`,
 * `aborted`. Not durable yet.
 */
export async function copyWal(wal: BackupWal): Promise<void> {
  const { from, startLsn, stopLsn, timeline, segmentSizeBytes, attempt, user, signal } = wal;
  const source = join(from, "pg_wal");
  const target = join(attempt.data, "pg_wal");
  const marks = join(target, "archive_status");
  await makeOwnDirectory(marks, user);
  const copier = new FileCopier(user, signal);
  const copyOne = async (name: string): Promise<boolean> => {
    if ((await copier.copy(join(source, name), join(target, name))) === undefined) return false;
    await writeMark(join(marks, `${name}.done`), user);
    return true;
  };
  const first = segmentContaining(startLsn, timeline, segmentSizeBytes);
  const last = lastSegmentBefore(stopLsn, timeline, segmentSizeBytes);
  for (const name of segmentsBetween(first, last, segmentSizeBytes)) {
    if (await copyOne(name)) continue;
    throw new EngineError(
      "postgres-failed",
      `the server to copy has no WAL segment "${name}" any more, which the copy needs`,
      {
        retryable: true,
        hint: "Does it have max_slot_wal_keep_size set? Allow more WAL than is written while it is copied.",
      },
    );
  }
  // The first timeline has none.
  await copyOne(timelineHistoryFileName(timeline));
}

async function writeMark(path: string, user: ServerUser | undefined): Promise<void> {
  try {
    await writeFile(path, "", { mode: 0o600, flag: "wx" });
    if (user !== undefined) await giveTo(path, user);
  } catch (error) {
    throw fileError("write", path, error);
  }
}
