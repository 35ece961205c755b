import type { BackupJob } from "../../instance/instance-status.ts";
import type { BackupDestination } from "./backup-status.ts";

type Missing = NonNullable<NonNullable<BackupJob["result"]>["missing"]>;

/** The destinations, each of those that do not have the backup with the reason. */
export function withMissing(
  destinations: readonly BackupDestination[],
  missing: Missing = [],
): BackupDestination[] {
  const isObjectStore = (name: string) => destinations.some(({ objectStore }) => objectStore === name);
  return destinations.map((destination) => {
    // A repository is called as its ObjectStore; the in-tree one has a name that none of them has.
    const found = missing.find(({ name }) =>
      destination.objectStore === undefined ? !isObjectStore(name) : destination.objectStore === name,
    );
    return found === undefined ? destination : { ...destination, error: found.message };
  });
}

/** A store that does not have a backup although it is complete, and why. */
export interface MissingCopy {
  readonly store: string;
  readonly error: string;
}

export function missingCopies(destinations: readonly BackupDestination[] = []): readonly MissingCopy[] {
  return destinations.flatMap(({ objectStore, destinationPath, error }) =>
    error === undefined ? [] : [{ store: objectStore ?? destinationPath, error }],
  );
}

/** `"offsite" (could not …)`, for a sentence. */
export function describeMissing(missing: readonly MissingCopy[]): string {
  return missing.map(({ store, error }) => `"${store}" (${error})`).join(", ");
}
