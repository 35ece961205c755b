import { EngineError } from "../common/errors.ts";
import { describeRepository, type Repository } from "./repository.ts";

/**
 * Throws `store-missing` for a repository that has nothing of what it must have and that this machine has claimed before
 * (`claim-note.ts`): it must not be begun anew in the empty mount point of its disk.
 */
export async function requireNotClaimedBefore(
  repository: Repository,
  missing: "identity" | "keys",
): Promise<void> {
  const { claimNote } = repository;
  if (claimNote === undefined || !(await claimNote.exists())) return;
  throw new EngineError(
    "store-missing",
    `repository "${describeRepository(repository)}" has no ${missing}, but it was claimed before, as "${claimNote.path}" notes`,
    {
      hint: `Is its disk mounted? Mount it, and archiving goes on. If the repository was emptied on purpose, remove "${claimNote.path}".`,
    },
  );
}
