import { join } from "node:path";
import { controlPath, markerName } from "../../restore/marker.ts";
import { exists } from "../configuration/own-files.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import { digestOf, type Attempt } from "./attempt.ts";

/** A recovery that ends in the same way each time is begun anew after so many: perhaps its files are damaged. */
const maxResumptions = 3;

/**
 * Whether an attempt for this specification can be gone on with: a recovery that has reached its target, or one whose files
 * are whole and that has not ended yet. Replay may have taken hours, and PostgreSQL goes on with it from its last restart
 * point. One that has ended without our seeing how is not: nobody has made sure that it reached its target.
 *
 * A copy is gone on with once it is promoted. Before that its replay is short, and copying anew gives what its origin holds now.
 */
export async function isResumable({ mark, data }: Attempt, bootstrap: InstanceBootstrap): Promise<boolean> {
  if (mark.digest !== digestOf(bootstrap)) return false;
  if (mark.recovered !== undefined || mark.promoted === true) return true;
  if (mark.backup === undefined) return false;
  if (mark.resumed >= maxResumptions) return false;
  const isWhole = (await exists(join(data, controlPath))) && !(await exists(join(data, markerName)));
  return isWhole && (await exists(join(data, "recovery.signal")));
}
