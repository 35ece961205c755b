/**
 * The replication slot that a primary keeps for an instance: `tidemark_pg_2` for `pg-2`. Slots have names of up to 63 lower
 * case letters, digits and underscores (`ReplicationSlotValidateName`); the prefix keeps ours apart from other people's.
 */
export function slotNameOf(instance: string): string {
  return `tidemark_${instance.toLowerCase().replace(/[^a-z0-9_]/g, "_")}`.slice(0, 63);
}
