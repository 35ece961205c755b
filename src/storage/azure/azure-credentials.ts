/** What a request to Azure can be signed with, and where people keep it. */
import { EngineError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import { parseJsonObject, type CredentialsFormat } from "../credentials-file.ts";
import { accountAt } from "./azure-url.ts";

interface Common {
  /** Whose they are; undefined where only the store's address says it. */
  readonly account: string | undefined;
  /** Where a connection string says that the account is reached. */
  readonly endpoint: string | undefined;
}

export type AzureCredentials =
  | (Common & { readonly kind: "key"; readonly key: Secret })
  /** A shared access signature, without its `?`. */
  | (Common & { readonly kind: "sas"; readonly token: Secret });

/** In a file of mode 0600: `{"connectionString": …}`, `{"accountName": …, "accountKey": …}` or `{"accountName": …, "sasToken": …}`. */
export const azureCredentialsFormat: CredentialsFormat<AzureCredentials> = {
  parse: (text) => {
    const { connectionString, accountName, accountKey, sasToken } = parseJsonObject(text) ?? {};
    const given = [connectionString, accountKey, sasToken].filter((value) => value !== undefined);
    const [only] = given;
    if (given.length !== 1 || typeof only !== "string") return undefined;
    if (connectionString !== undefined) {
      return accountName === undefined ? parseConnectionString(only) : undefined;
    }
    if (accountName !== undefined && typeof accountName !== "string") return undefined;
    return accountKey === undefined ? sasOf(only, accountName) : keyOf(only, accountName);
  },
  hint: 'Write it as JSON: {"connectionString": "…"}, or {"accountName": "…", "accountKey": "…"}, or {"accountName": "…", "sasToken": "…"}.',
};

/** As the tools of Azure and Barman take them from the environment; undefined when there are none. Throws `config`. */
export function environmentCredentials(environment: NodeJS.ProcessEnv): AzureCredentials | undefined {
  const read = (name: string): string | undefined => environment[name] || undefined;
  const connectionString = read("AZURE_STORAGE_CONNECTION_STRING");
  const account = read("AZURE_STORAGE_ACCOUNT");
  const key = read("AZURE_STORAGE_KEY");
  const sas = read("AZURE_STORAGE_SAS_TOKEN");
  if (connectionString !== undefined) {
    const credentials = parseConnectionString(connectionString);
    if (credentials !== undefined) return credentials;
    throw new EngineError("config", "AZURE_STORAGE_CONNECTION_STRING does not hold a connection string", {
      hint: "The portal shows it under the storage account's access keys: DefaultEndpointsProtocol=…;AccountName=…;AccountKey=….",
    });
  }
  if (key !== undefined) return keyOf(key, account);
  if (sas === undefined) return undefined;
  const credentials = sasOf(sas, account);
  if (credentials !== undefined) return credentials;
  // Passing over it would sign in as somebody else: whoever this machine is.
  throw new EngineError("config", "AZURE_STORAGE_SAS_TOKEN does not hold a shared access signature", {
    hint: "The portal shows it as the SAS token of the container: sv=…&sig=….",
  });
}

/** `Name=value;…`, with an account's key or a shared access signature. Undefined when it has neither. */
export function parseConnectionString(text: string): AzureCredentials | undefined {
  const parts = new Map<string, string>();
  for (const part of text.split(";")) {
    const at = part.indexOf("=");
    if (at > 0) parts.set(part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim());
  }
  const account = parts.get("accountname");
  const suffix = parts.get("endpointsuffix");
  const scheme = parts.get("defaultendpointsprotocol") ?? "https";
  const usual =
    account === undefined || suffix === undefined ? undefined : `${scheme}://${account}.blob.${suffix}`;
  const endpoint = (parts.get("blobendpoint") ?? usual)?.replace(/\/+$/, "");
  const key = parts.get("accountkey");
  const sas = parts.get("sharedaccesssignature");
  if (endpoint !== undefined && !/^https?:\/\/./.test(endpoint)) return undefined;
  if (key !== undefined) return account === undefined ? undefined : keyOf(key, account, endpoint);
  const owner = account ?? (endpoint === undefined ? undefined : accountAt(endpoint));
  return sas === undefined ? undefined : sasOf(sas, owner, endpoint);
}

function keyOf(key: string, account?: string, endpoint?: string): AzureCredentials | undefined {
  return key === "" ? undefined : { kind: "key", key: new Secret(key), account, endpoint };
}

function sasOf(text: string, account?: string, endpoint?: string): AzureCredentials | undefined {
  // The portal shows it as a part of an address, too.
  const token = text.trim().replace(/^[^?]*\?/, "");
  // Anything else would be sent as it is, as part of an address.
  return /(?:^|&)sig=[^&]+/.test(token) && !/\s/.test(token)
    ? { kind: "sas", token: new Secret(token), account, endpoint }
    : undefined;
}
