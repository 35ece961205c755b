import { slotNameOf } from "../../instance/configuration/slot-name.ts";
import type { InstanceSpec } from "../../instance/instance-spec.ts";
import { connect } from "../../postgres/connection.ts";

/**
 * Lets the primary forget the standbys of a cluster that are no more: it would keep all WAL for each of them until its disk is full.
 * `present` are the cluster's instances. Returns whether all of them are forgotten; a slot that somebody still streams from is not.
 * Slots with other names are not touched. Safe to repeat; throws what connecting throws.
 */
export async function forgetGoneStandbys(
  cluster: string,
  present: readonly string[],
  primary: Pick<InstanceSpec, "port" | "socketDirectory">,
): Promise<boolean> {
  await using connection = await connect({
    host: primary.socketDirectory,
    port: primary.port,
    user: "postgres",
    database: "postgres",
    applicationName: "tidemark-control",
    timeoutMs: 5000,
  });
  const gone = await connection.query<{ readonly name: string; readonly active: boolean }>(
    `SELECT slot_name::text AS name, active FROM pg_replication_slots
      WHERE slot_type = 'physical' AND starts_with(slot_name::text, $1)
        AND substr(slot_name::text, length($1) + 1) ~ '^[0-9]+$'
        AND slot_name::text <> ALL (string_to_array($2, ','))`,
    [slotNameOf(`${cluster}-`), present.map((name) => slotNameOf(name)).join(",")],
  );
  for (const { name, active } of gone) {
    if (!active) await connection.query("SELECT pg_drop_replication_slot($1)", [name]);
  }
  return gone.every(({ active }) => !active);
}
