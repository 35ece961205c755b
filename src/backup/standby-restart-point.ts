import type { Clock } from "../common/clock.ts";
import { describeError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { currentTimelineSql } from "../postgres/backup-functions.ts";
import type { SqlConnection } from "../postgres/connection.ts";

const waitMs = 60_000;
const againMs = 200;

/**
 * A backup of a standby begins at its last restart point. After another server was promoted that lies on the timeline before, until
 * a checkpoint of the new primary has come through, and the backup would end on another timeline than it began on. So the
 * primary is asked for a checkpoint, and the standby to take it up. Best effort: where that cannot be done, the end of the
 * backup tells.
 */
export async function awaitRestartPoint(
  standby: SqlConnection,
  primary: SqlConnection,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  try {
    const [{ timeline } = { timeline: 0 }] = await primary.query<{ timeline: number }>(
      `SELECT ${currentTimelineSql} AS timeline`,
    );
    if ((await restartTimeline(standby)) >= timeline) return;
    log.info("waiting until the standby has a restart point on its primary's timeline", { timeline });
    await primary.query("CHECKPOINT");
    const untilMs = clock.monotonicMs() + waitMs;
    while (clock.monotonicMs() < untilMs) {
      // Does nothing before the checkpoint's record has been replayed.
      await standby.query("CHECKPOINT");
      if ((await restartTimeline(standby)) >= timeline) return;
      await clock.sleep(againMs, signal);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    log.warn("could not bring the standby to a restart point on its primary's timeline", {
      error: describeError(error),
    });
  }
}

async function restartTimeline(standby: SqlConnection): Promise<number> {
  const rows = await standby.query<{ timeline: number }>(
    "SELECT timeline_id AS timeline FROM pg_control_checkpoint()",
  );
  return rows[0]?.timeline ?? 0;
}
