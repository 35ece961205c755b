import type { OpenStoreOptions } from "../storage/open-store.ts";
import type { RepositorySettings } from "./repository-settings.ts";

const connectionKeys = ["endpoint", "caFile", "credentialsFile", "proxy", "proxyCredentialsFile"] as const;

/** What settings say of a bucket of Google's beyond its place, as it is opened with it. */
export function gcsStoreOptions(settings: RepositorySettings): NonNullable<OpenStoreOptions["gcs"]> {
  const given = connectionKeys.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]]));
  return Object.fromEntries(given) as NonNullable<OpenStoreOptions["gcs"]>;
}
