import type { OpenStoreOptions } from "../storage/open-store.ts";
import type { RepositorySettings } from "./repository-settings.ts";

/** What settings say of a bucket of Google's beyond its place, as it is opened with it. */
export function gcsStoreOptions({
  endpoint,
  caFile,
  credentialsFile,
}: RepositorySettings): NonNullable<OpenStoreOptions["gcs"]> {
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(credentialsFile === undefined ? {} : { credentialsFile }),
  };
}
