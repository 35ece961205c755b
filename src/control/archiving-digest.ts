import type { AgentStatus } from "../agent/agent-status.ts";

/** What of an agent's status somebody may want to act on; counters and the newest file change all the time. */
export function archivingDigest(archiving: AgentStatus | undefined): unknown {
  return (
    archiving && [
      archiving.lastArchived === undefined,
      archiving.lastFailure?.at,
      archiving.refused,
      archiving.repositories.map(({ state }) => state),
    ]
  );
}
