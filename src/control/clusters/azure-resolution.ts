import { describeError } from "../../common/errors.ts";
import type { RepositorySettings } from "../../repository/repository-settings.ts";
import { parseStoreUrl } from "../../storage/open-store.ts";
import type { KeySelector, StoreConfiguration } from "./store-resolution.ts";

/** The content of a credentials file (`azure-credentials.ts`). */
export type AzureFileCredentials =
  | { readonly connectionString: string }
  | { readonly accountName?: string; readonly accountKey: string }
  | { readonly accountName?: string; readonly sasToken: string };

/** What a manifest says of getting at a container of Azure. */
export interface AzureResolution {
  readonly settings: Pick<RepositorySettings, "azureIdentity">;
  readonly credentials: AzureFileCredentials | undefined;
  /** Each a sentence that names what is missing, or of no use. */
  readonly problems: readonly string[];
}

/** Looks up `azureCredentials`. `read` gives a Secret's value, and notes by itself when there is none. */
export function resolveAzure(
  name: string,
  configuration: StoreConfiguration,
  read: (selector: KeySelector | undefined, what: string) => string | undefined,
): AzureResolution {
  const { azureCredentials: azure, s3Credentials: s3, destinationPath } = configuration;
  const address = addressOf(destinationPath);
  if (address.kind === "wrong") {
    return refusal(`store "${name}" cannot be opened: ${address.problem}`);
  }
  if (azure === undefined) {
    return address.kind === "azure" && s3 !== undefined
      ? refusal(`store "${name}" is a container of Azure, and s3Credentials are for s3://`)
      : nothing;
  }
  if (address.kind !== "azure") {
    return refusal(
      `store "${name}" has azureCredentials, but "${destinationPath}" is no address of a container (https://ACCOUNT.blob.core.windows.net/CONTAINER/path)`,
    );
  }
  const ways = [
    azure.connectionString !== undefined,
    azure.storageKey !== undefined,
    azure.storageSasToken !== undefined,
    azure.inheritFromAzureAD === true,
    azure.useDefaultAzureCredentials === true,
  ].filter(Boolean).length;
  if (ways !== 1) {
    return refusal(
      `store "${name}" needs exactly one of connectionString, storageKey, storageSasToken, inheritFromAzureAD and useDefaultAzureCredentials`,
    );
  }
  if (azure.inheritFromAzureAD === true) return identity("managed-identity");
  if (azure.useDefaultAzureCredentials === true) return identity("default");
  const account = read(azure.storageAccount, "the storage account")?.trim();
  const owner = account === undefined ? {} : { accountName: account };
  const connectionString = read(azure.connectionString, "the connection string");
  if (connectionString !== undefined) return file({ connectionString });
  const accountKey = read(azure.storageKey, "the storage key");
  if (accountKey !== undefined) return file({ ...owner, accountKey });
  const sasToken = read(azure.storageSasToken, "the SAS token");
  return sasToken === undefined ? nothing : file({ ...owner, sasToken });
}

const nothing: AzureResolution = { settings: {}, credentials: undefined, problems: [] };

function refusal(problem: string): AzureResolution {
  return { ...nothing, problems: [problem] };
}

function identity(azureIdentity: "default" | "managed-identity"): AzureResolution {
  return { ...nothing, settings: { azureIdentity } };
}

function file(credentials: AzureFileCredentials): AzureResolution {
  return { ...nothing, credentials };
}

type Address =
  | { readonly kind: "azure" | "other" }
  /** An address of Azure, but for a mistake in it. */
  | { readonly kind: "wrong"; readonly problem: string };

function addressOf(destinationPath: string): Address {
  if (!/^(?:https?|azure):/i.test(destinationPath)) return { kind: "other" };
  try {
    parseStoreUrl(destinationPath);
    return { kind: "azure" };
  } catch (error) {
    return { kind: "wrong", problem: describeError(error) };
  }
}
