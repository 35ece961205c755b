import type { Log } from "../common/log.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { ClaimNote } from "./claim-note.ts";
import type { ServerName } from "./server-name.ts";

/** One server's archive in one object store. Plain data: the verbs take it as an argument. */
export interface Repository {
  /** What the operator calls it; unique among the repositories of one server. */
  readonly name: string;
  readonly server: ServerName;
  readonly store: ObjectStore;
  readonly log: Log;
  /** Where this machine remembers that the repository was claimed. Writers have one: it tells a missed mount. */
  readonly claimNote?: ClaimNote;
}

/** For messages: store and server name. */
export function describeRepository(repository: Repository): string {
  return `${repository.store.url}/${repository.server}`;
}

/** Tells a repository from another one under the same name: equal for the same place only. For programs. */
export function repositoryAddress(repository: Repository): string {
  const { claimNote } = repository;
  // The store's URL does not say which S3 endpoint it is.
  return describeRepository(repository) + (claimNote === undefined ? "" : `#${claimNote.digest}`);
}
