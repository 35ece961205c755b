/**
 * What Azure, the network and the SDK throw, in the port's words: the one place where their names are judged. Microsoft
 * documents the codes under "Common REST API error codes" and "Blob service error codes".
 */
import { abortError } from "../../common/abort.ts";
import { EngineError, systemErrorCode } from "../../common/errors.ts";
import { networkError } from "../network-errors.ts";

/** What was being done, for the message. */
export interface AzureAction {
  /** A verb phrase: `write "wals/x"`. */
  readonly action: string;
  /** Where: `azure://account/container/path`. */
  readonly url: string;
  /** Where the account is reached, if not at its usual place. */
  readonly endpoint: string | undefined;
  /** What the way there goes through, without credentials. */
  readonly proxy: string | undefined;
  readonly signal: AbortSignal | undefined;
}

const askForRole =
  "Give this identity the role Storage Blob Data Contributor on the container, or a SAS with the permissions read, add, create, write, delete and list on it.";
const noCredentials =
  "Set AZURE_STORAGE_CONNECTION_STRING (or AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN), name a credentials file, or run where an identity is: managed identity, workload identity, az login.";
/** Names of refusals that are about who asks or what may be done, each with the advice that fits it. */
const deniedHints: Readonly<Record<string, string>> = {
  AuthenticationFailed:
    "The key or SAS does not fit this storage account: check that it was copied whole, and whether it was rotated.",
  InvalidAuthenticationInfo: "Azure does not accept this way of signing in: check credentials and tenant.",
  NoAuthenticationInformation: noCredentials,
  AuthorizationFailure:
    "The firewall of the storage account does not let this machine in, or the SAS does not allow this (an emulator says so of a wrong key, too).",
  AuthorizationSourceIPMismatch: "The SAS is for other addresses than this machine's.",
  AuthorizationProtocolMismatch: "The SAS allows https:// alone.",
  AuthorizationPermissionMismatch: askForRole,
  AuthorizationResourceTypeMismatch: askForRole,
  AuthorizationServiceMismatch: askForRole,
  InsufficientAccountPermissions: askForRole,
  UnauthorizedBlobOverwrite: "The SAS allows to create, and not to write: give it the permission to write.",
  KeyBasedAuthenticationNotPermitted:
    "This storage account takes no keys: sign in with an identity (managed identity, workload identity, az login).",
  PublicAccessNotPermitted: noCredentials,
  AccountIsDisabled:
    "The storage account is switched off: look at it, and at its subscription, in the portal.",
  BlobArchived: "The blob is in the archive tier: rehydrate it there first, then try again.",
  BlobImmutableDueToPolicy: "An immutability policy of the container protects the blob until it runs out.",
  SnapshotsPresent: "The blob has snapshots, which are not ours to delete: delete them first.",
  LeaseIdMissing: "Somebody holds a lease on the blob: break it, or wait until it ends.",
  InvalidBlobOrBlock:
    "Another program left blocks of an unfinished upload under this name: they vanish after a week.",
  FeatureNotSupportedForAccount:
    "If tags are asked for: this storage account does not have them (accounts with a hierarchical namespace do not).",
};
const tagHint =
  "Azure takes up to ten tags; keys and values may have letters, digits, spaces and + - . / : = _ alone.";
/** Refusals with a 4xx status that nevertheless pass, or are about bytes damaged on the way. */
const passingCodes = new Set(["ContainerBeingDeleted", "Md5Mismatch", "OperationTimedOut", "ServerBusy"]);
const missingCodes = new Set(["ContainerNotFound", "ResourceNotFound", "ContainerDisabled"]);
const takenCodes = new Set([
  "BlobAlreadyExists",
  "BlobImmutableDueToPolicy",
  "ConditionNotMet",
  "TargetConditionNotMet",
]);

/** Azure's error code (`BlobNotFound`, …), a system error code, or the name of the thrown error. */
export function azureErrorName(error: unknown): string {
  const { response, details, name } = partsOf(error);
  return (
    response?.headers?.get("x-ms-error-code") ?? details?.errorCode ?? systemErrorCode(error) ?? name ?? ""
  );
}

/** Whether the answer is "no such blob", certainly: a 404 of something between here and Azure has no such name. */
export function isNotFound(error: unknown): boolean {
  return azureErrorName(error) === "BlobNotFound";
}

/** Whether a write that is to create the blob was refused because there is one. */
export function isTaken(error: unknown): boolean {
  return takenCodes.has(azureErrorName(error));
}

/** EngineErrors pass unchanged. What the SDK throws holds the request with its signature, so only words of it go on. */
export function azureStoreError(error: unknown, what: AzureAction): EngineError {
  if (what.signal?.aborted === true) return abortError(what.signal);
  if (error instanceof EngineError) return error;
  const name = azureErrorName(error);
  const status = partsOf(error).statusCode;
  const message = `could not ${what.action} in ${what.url}`;
  const cause = wordsOf(error);
  if (missingCodes.has(name)) {
    const missing = name === "ResourceNotFound" ? "the storage account or container" : "the container";
    return new EngineError("store-missing", `${message}: ${missing} does not exist`, {
      cause,
      hint: "Create the container first; Tidemark does not, because its settings (who may read, tiers, immutability) are yours.",
    });
  }
  if (status === 407) {
    return new EngineError(
      "store-denied",
      `${message}: the proxy ${what.proxy ?? ""} wants credentials (407)`,
      { hint: "Name a file with its user:password (proxyCredentialsFile), or write them into HTTPS_PROXY." },
    );
  }
  const denied = deniedHint(name, status, error);
  if (denied !== undefined) {
    return new EngineError("store-denied", `${message}: ${serverWords(name, status)}`, {
      cause,
      hint: denied,
    });
  }
  if (status !== undefined && status >= 400 && status < 500 && !passes(name, status)) {
    return new EngineError("store-denied", `${message}: ${serverWords(name, status)}`, {
      cause,
      ...(/tag/i.test(name) ? { hint: tagHint } : {}),
    });
  }
  return unavailable(message, name, status, cause, what);
}

function passes(name: string, status: number): boolean {
  // Azure says what it does not find; a nameless 404 comes from somebody else, on the way.
  return passingCodes.has(name) || status === 404 || status === 408 || status === 429;
}

function deniedHint(name: string, status: number | undefined, error: unknown): string | undefined {
  if (/^(?:CredentialUnavailable|AggregateAuthentication|Authentication(?:Required)?)Error$/.test(name)) {
    // Who gives out tokens may be in trouble as well.
    return status === 429 || (status !== undefined && status >= 500) ? undefined : noCredentials;
  }
  if (name === "AuthenticationFailed") {
    const detail = partsOf(error).response?.bodyAsText ?? "";
    if (detail.includes("in the specified time frame")) {
      return "The SAS is not valid now: it has run out, begins later, or the clock of this machine is wrong.";
    }
    if (/date (?:header )?.*(?:too old|incorrect)/i.test(detail)) {
      return "The clock of this machine and that of the store differ too much: synchronise it (NTP).";
    }
  }
  return deniedHints[name] ?? (status === 401 || status === 403 ? askForRole : undefined);
}

function unavailable(
  message: string,
  name: string,
  status: number | undefined,
  error: Error,
  { endpoint, proxy }: AzureAction,
): EngineError {
  if (status === 404) {
    return new EngineError("store-unavailable", `${message}: ${serverWords(name, status)}`, {
      cause: error,
      hint: "Azure names what it does not find: a proxy between here and the store may be answering in its place.",
    });
  }
  const words = ownWords[name] ?? serverWords(name, status);
  return networkError({
    message,
    error,
    words,
    endpoint,
    proxy,
    nameHint: " and the name of the storage account",
  });
}

/** Of failures that only the SDK has a name for. */
const ownWords: Readonly<Record<string, string>> = {
  AbortError: "the connection was cut",
  PARSE_ERROR: "the answer is not understood",
};

/** `ServerBusy (503)`, `ECONNRESET`, or what else there is to say. */
function serverWords(name: string, status: number | undefined): string {
  return status === undefined ? name : `${name} (${status})`;
}

interface ForeignError {
  readonly name?: string;
  readonly statusCode?: number;
  readonly details?: { readonly errorCode?: string } | null;
  readonly response?: {
    readonly headers?: { get(name: string): string | undefined };
    readonly bodyAsText?: string | null;
  };
}

function partsOf(error: unknown): ForeignError {
  return typeof error === "object" && error !== null ? error : {};
}

/** The start of its first line, and its code: what follows is the request's ID, each way of signing in, or the whole answer. */
function wordsOf(error: unknown): Error {
  const [first = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  const line = first.length > 200 ? `${first.slice(0, 200)}…` : first;
  const code = systemErrorCode(error);
  return Object.assign(new Error(line), code === undefined ? {} : { code });
}
