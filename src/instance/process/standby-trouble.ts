import type { StandbyTrouble } from "../instance-status.ts";

/*
 * What a server says when it cannot follow its primary, and why. Its messages are the only place where it does: a standby whose
 * timeline has another history simply does not stream. They are English wherever `lc_messages` is left as it is made.
 */

/** walreceiver.c, walsender.c, xlogrecovery.c (xlog.c before 15), xlog.c of PostgreSQL 13 to 18. */
const words: Readonly<Record<StandbyTrouble["kind"], readonly RegExp[]>> = {
  diverged: [
    /new timeline \d+ forked off current database system timeline \d+ before current recovery point/,
    /requested starting point \S+ on timeline \d+ is not in this server's history/,
    /highest timeline \d+ of the primary is behind recovery timeline \d+/,
    /requested timeline \d+ is not a child of this server's history/,
    /requested timeline \d+ does not contain minimum recovery point/,
    /database system identifier differs between the primary and standby/,
  ],
  "wal-removed": [/requested WAL segment [0-9A-F]{24} has already been removed/],
  damaged: [
    /could not locate (a valid|required) checkpoint record/,
    /invalid (primary )?checkpoint record/,
    /incorrect checksum in control file/,
    /control file contains invalid/,
    /could not find the database system/,
    /is not a valid data directory/,
    /database files are incompatible with server/,
    /WAL ends before (end of online backup|consistent recovery point)/,
    /WAL contains references to invalid pages/,
    /"(base|global|pg_xact|pg_multixact)[^"]*": (No such file or directory|read \d+ of \d+)/,
  ],
  other: [
    /could not start WAL streaming/,
    /could not receive data from WAL stream/,
    /could not connect to the primary server/,
    /could not receive timeline history file/,
    /the primary server/,
    /terminating walreceiver/,
  ],
};

/** What passes by itself is said only where nothing is said that does not. */
const bySeverity = ["damaged", "diverged", "wal-removed", "other"] as const;

/** Pure: what the lines of a server's log say of following, the last of the worst; undefined when nothing. */
export function troubleIn(lines: readonly string[]): StandbyTrouble | undefined {
  const complaints = lines.flatMap((line) => {
    const [, level, message] = /\b(LOG|FATAL|PANIC|ERROR|WARNING):\s+(.*)$/.exec(line) ?? [];
    return level === undefined || message === undefined ? [] : [{ level, message: message.trim() }];
  });
  for (const kind of bySeverity) {
    const found = complaints.findLast(
      ({ level, message }) => mayMean(kind, level) && words[kind].some((pattern) => pattern.test(message)),
    );
    if (found !== undefined) return { kind, message: found.message };
  }
  return undefined;
}

/** A file that a session could not open ends no server, and a client's failed login is no news of the primary. */
function mayMean(kind: StandbyTrouble["kind"], level: string): boolean {
  if (kind === "damaged") return level === "FATAL" || level === "PANIC";
  if (kind === "other") return level === "FATAL";
  return true;
}
