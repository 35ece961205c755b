import type { Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { sqlState } from "../../postgres/connection-error.ts";
import type { SqlConnection } from "../../postgres/connection.ts";
import { slotNameOf } from "../configuration/slot-name.ts";
import { inDatabase } from "./superuser-session.ts";

interface SlotRow {
  readonly active: boolean;
  /** It keeps WAL from somewhere on, all of which is there. */
  readonly keeps: boolean;
}

/**
 * Makes the primary keep WAL for an instance from now on, until it has streamed it. A slot of the instance's that has lost WAL
 * is of no use to a new copy and is made anew. Throws `postgres-failed`, for example when `max_replication_slots` is reached.
 */
export async function ensureCloneSlot(connection: SqlConnection, instance: string): Promise<void> {
  const slot = slotNameOf(instance);
  const [found] = await connection.query<SlotRow>(
    `SELECT active, (restart_lsn IS NOT NULL AND wal_status IS DISTINCT FROM 'lost') AS keeps
       FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
  if (found?.keeps === true || found?.active === true) return;
  if (found !== undefined) await connection.query("SELECT pg_drop_replication_slot($1)", [slot]);
  await connection.query("SELECT pg_create_physical_replication_slot($1, true)", [slot]);
}

/**
 * Makes a primary keep WAL from now on for as long as this session lasts, and not a moment longer, however it ends: whoever copies a
 * server and is killed leaves nothing there. `id` tells one copy from another. Throws `postgres-failed`, also for a standby.
 */
export async function keepWalMeanwhile(connection: SqlConnection, id: string): Promise<void> {
  // A name that no instance has: `tidemark_pg_1` may be a standby's.
  const made = await connection.query(
    `SELECT pg_create_physical_replication_slot($1, true, true) WHERE NOT pg_is_in_recovery()`,
    [slotNameOf(`copy-${id}-temporary`)],
  );
  if (made.length > 0) return;
  throw new EngineError("postgres-failed", "the server to copy is a standby, not the primary any more", {
    retryable: true,
    hint: "The next attempt copies whoever is the primary then.",
  });
}

const patienceMs = 10_000;
const pauseMs = 200;

/**
 * Lets the primary forget an instance, whose process must have ended: the WAL it kept for it is removed. One whose server still
 * streams is waited for, up to 10 s. Returns whether there was a slot. Throws `postgres-failed`, `aborted`.
 */
export async function dropCloneSlot(options: {
  /** Socket folder and port of the primary. */
  readonly host: string;
  readonly port: number;
  /** Name of the instance that followed it. */
  readonly instance: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  const { instance, clock, signal } = options;
  const untilMs = clock.monotonicMs() + patienceMs;
  return inDatabase(options, "postgres", signal, async (connection) => {
    for (;;) {
      try {
        const dropped = await connection.query(
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`,
          [slotNameOf(instance)],
        );
        return dropped.length > 0;
      } catch (error) {
        // object_in_use
        if (sqlState(error) !== "55006" || clock.monotonicMs() >= untilMs) throw error;
      }
      await clock.sleep(pauseMs, signal);
    }
  });
}
