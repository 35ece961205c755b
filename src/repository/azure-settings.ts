/** What can be said of a container of Azure in a configuration beyond its place. */
import { z } from "zod";
import type { OpenStoreOptions } from "../storage/open-store.ts";
import { isHistory } from "./object-headers.ts";
import type { RepositorySettings } from "./repository-settings.ts";

export const azureSettingsShape = {
  /**
   * Sign in as this machine, whatever keys are in the environment: as its managed identity, or by all that Azure's libraries
   * know (`default`). Without it: the credentials file (`azure-credentials.ts`), then the environment, then `default`.
   */
  azureIdentity: z.enum(["default", "managed-identity"]).optional(),
};

/** The settings as a container is opened with them. Tags are index tags there. */
export function azureStoreOptions(settings: RepositorySettings): NonNullable<OpenStoreOptions["azure"]> {
  const { endpoint, caFile, credentialsFile, azureIdentity, proxy, proxyCredentialsFile } = settings;
  const { objectTags = {}, historyTags = objectTags } = settings;
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(credentialsFile === undefined ? {} : { credentialsFile }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(proxyCredentialsFile === undefined ? {} : { proxyCredentialsFile }),
    ...(azureIdentity === undefined ? {} : { identity: azureIdentity }),
    tagsOf: (key) => ({ ...(isHistory(key) ? historyTags : objectTags) }),
  };
}
