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

/** Where a backup that is complete is not, and why; undefined when it is everywhere. */
export function describeMissing(destinations: readonly BackupDestination[] = []): string | undefined {
  const missing = destinations.flatMap(({ objectStore, destinationPath, error }) =>
    error === undefined ? [] : [`"${objectStore ?? destinationPath}" (${error})`],
  );
  return missing.length === 0 ? undefined : missing.join(", ");
}
