import { isIP } from "node:net";
import type { EngineError } from "../../common/errors.ts";
import { parseBytes } from "../../common/units.ts";
import {
  badUrl,
  parseEndpoint,
  prefixOf,
  readParameters,
  secretInUrl,
  withoutQuery,
  type UrlParameter,
} from "../url-parts.ts";
import { maxBlockBytes } from "./azure-limits.ts";
import type { AzureStoreOptions } from "./azure-store.ts";

const forms =
  "Write https://ACCOUNT.blob.core.windows.net/CONTAINER/path, azure://ACCOUNT/CONTAINER/path, or, of an emulator, http://HOST:PORT/ACCOUNT/CONTAINER/path. A bucket of another provider is s3://BUCKET/path?endpoint=https://HOST.";

/**
 * What the address of a container says, as Azure's portal shows it (`https://account.blob.core.windows.net/container/path`),
 * as an emulator has it (`http://127.0.0.1:10000/account/container/path`), or short (`azure://account/container/path`), with
 * `?endpoint=…&ca-file=…&part-size=…`. Throws `usage`.
 */
export function parseAzureUrl(parsed: URL): AzureStoreOptions {
  const names = [...parsed.searchParams.keys()];
  if (parsed.username !== "" || parsed.password !== "" || names.some(looksSecret)) throw refuseSecret(parsed);
  if (parsed.hash !== "")
    throw badUrl(withoutQuery(parsed), "has a fragment (#…)", "A # in the path is written %23.");
  return { ...placeOf(parsed), ...readParameters(parsed, parameters, refuseSecret) };
}

function placeOf(parsed: URL): AzureStoreOptions {
  const steps = prefixOf(parsed).split("/");
  if (parsed.protocol === "azure:" && parsed.port !== "")
    throw badUrl(withoutQuery(parsed), `has a port ("${parsed.port}") where an account's name is`, forms);
  if (parsed.protocol === "azure:") return checked(parsed, parsed.hostname, steps);
  const account = accountInHost(parsed);
  if (account !== undefined) {
    const usual = parsed.origin === usualEndpoint(account);
    return { ...checked(parsed, account, steps), ...(usual ? {} : { endpoint: parsed.origin }) };
  }
  if (!isEmulator(parsed))
    throw badUrl(withoutQuery(parsed), "is not the address of an Azure container", forms);
  const [first = "", ...rest] = steps;
  return { ...checked(parsed, first, rest), endpoint: `${parsed.origin}/${first}` };
}

/** The account whose blob service is at an endpoint: the first part of the host's name, or, of an emulator, the path. */
export function accountAt(endpoint: string): string | undefined {
  const parsed = URL.parse(endpoint);
  if (parsed === null) return undefined;
  return accountInHost(parsed) ?? (parsed.pathname.replace(/^\/|\/$/g, "") || undefined);
}

/** Also of sovereign clouds, private links and zones: `account.blob.core.…`, `account.privatelink.blob.core.…`. */
function accountInHost({ hostname }: URL): string | undefined {
  return /^([^.]+)\.(?:[^.]+\.)*blob\./.exec(hostname)?.[1];
}

/** Where the blob service of an account is, unless something else is said. */
export function usualEndpoint(account: string): string {
  return `https://${account}.blob.core.windows.net`;
}

/** Whether the account may be the first step of the path: elsewhere it is the first part of the host's name. */
function isEmulator({ hostname, port }: URL): boolean {
  return port !== "" || !hostname.includes(".") || isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
}

/** The names as Azure allows them, or what people wrote instead would be asked for there. */
function checked(
  parsed: URL,
  account: string,
  [container = "", ...path]: readonly string[],
): AzureStoreOptions {
  if (!/^[a-z0-9]{3,24}$/.test(account)) {
    throw badUrl(withoutQuery(parsed), `names no storage account ("${account}")`, forms);
  }
  if (!/^(?:\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62})$/.test(container)) {
    throw badUrl(withoutQuery(parsed), `names no container ("${container}")`, forms);
  }
  return { account, container, prefix: path.join("/") };
}

const parameters: Readonly<Record<string, UrlParameter<AzureStoreOptions>>> = {
  endpoint: (value) => ({ endpoint: parseEndpoint(value, refuseSecret) }),
  "ca-file": (caFile) => ({ caFile }),
  "part-size": (value, name) => {
    const partBytes = parseBytes(value);
    if (partBytes >= 1 && partBytes <= maxBlockBytes) return { partBytes };
    throw badUrl(value, `is no value of "${name}"`, "Azure takes blocks of up to 4000MiB.");
  },
};

/** `sig` is the signature of a shared access signature (SAS). */
function looksSecret(name: string): boolean {
  return /^sig$|key|connection/i.test(name);
}

function refuseSecret(parsed: URL): EngineError {
  return secretInUrl(
    parsed,
    "set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or name a credentials file, instead.",
  );
}
