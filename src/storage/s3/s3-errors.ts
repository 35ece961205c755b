/**
 * What S3-compatible servers, the network and the SDK throw, in the port's words: the one place where their names are
 * judged. AWS documents the codes under "Error responses" of its S3 API reference; other servers add a few.
 */
import { abortError } from "../../common/abort.ts";
import { describeError, EngineError, systemErrorCode } from "../../common/errors.ts";
import { networkError } from "../network-errors.ts";

/** What was being done, for the message. */
export interface S3Action {
  /** A verb phrase: `write "wals/x"`. */
  readonly action: string;
  /** Where: `s3://bucket/path`. */
  readonly url: string;
  readonly endpoint: string | undefined;
  /** What requests go through. */
  readonly proxy: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Names of refusals that are about who asks, each with the advice that fits it. */
const deniedHints: Readonly<Record<string, string>> = {
  AccessDenied:
    "Allow these credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and s3:AbortMultipartUpload on the bucket (without s3:ListBucket, a missing object is answered as a refusal too).",
  InvalidAccessKeyId:
    "The store does not know this access key: check AWS_ACCESS_KEY_ID, and that the endpoint is right.",
  SignatureDoesNotMatch: "The secret key does not belong to this access key: check AWS_SECRET_ACCESS_KEY.",
  ExpiredToken:
    "Renew the session token; where a role provides it, check that the role can still be assumed.",
  RequestTimeTooSkewed:
    "The clock of this machine and that of the store differ too much: synchronise it (NTP).",
  AuthorizationHeaderMalformed: "The region is probably not the bucket's: set it with region= or AWS_REGION.",
  InvalidObjectState: "The object is in an archive class: restore it there first, then try again.",
};
const deniedAliases: Readonly<Record<string, string>> = {
  Forbidden: "AccessDenied",
  AllAccessDisabled: "AccessDenied",
  AccountProblem: "AccessDenied",
  InvalidToken: "ExpiredToken",
  ExpiredTokenException: "ExpiredToken",
  TokenRefreshRequired: "ExpiredToken",
};

const regionCodes = new Set([
  "PermanentRedirect",
  "TemporaryRedirect",
  "IllegalLocationConstraintException",
  "301",
]);
/** Refusals with a 4xx status that nevertheless pass, or are about bytes damaged on the way. */
const passingCodes = new Set([
  "SlowDown",
  "RequestTimeout",
  "RequestTimeoutException",
  "OperationAborted",
  "ConditionalRequestConflict",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "BadDigest",
  "XAmzContentSHA256Mismatch",
  "IncompleteBody",
]);
/** Refusals of a request that a header asks too much of. */
const unwelcomeCodes = new Set(["InvalidRequest", "InvalidArgument", "NotImplemented", "UnsupportedHeader"]);
const unwelcomeHint =
  "If encryption by the store, tags or a storage class are asked for: this store does not take one of them, or takes it over TLS (https://) alone.";

/** The S3 error code (`NoSuchKey`, …), a system error code, or the name of the thrown error. */
export function s3ErrorName(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  // HEAD answers have no body; then the SDK has only the status to name the error by.
  if ("Code" in error && typeof error.Code === "string") return error.Code;
  return "name" in error && typeof error.name === "string" ? error.name : "";
}

export function s3Status(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
  const metadata = error.$metadata as { readonly httpStatusCode?: number } | undefined;
  return metadata?.httpStatusCode;
}

/** Whether the answer is "no such object" or, for requests without an answer body, possibly "no such bucket". */
export function isNotFound(error: unknown): boolean {
  const name = s3ErrorName(error);
  return name === "NoSuchKey" || name === "NotFound" || (s3Status(error) === 404 && name === "404");
}

/** Whether the answer is "the condition of the request does not hold": the object exists. */
export function isPreconditionFailed(error: unknown): boolean {
  return s3ErrorName(error) === "PreconditionFailed" || s3Status(error) === 412;
}

/** Whether the store refuses this kind of request or header as such. */
export function isNotImplemented(error: unknown): boolean {
  const status = s3Status(error);
  const name = s3ErrorName(error);
  return (
    status === 501 ||
    name === "NotImplemented" ||
    (status === 400 &&
      ["InvalidArgument", "InvalidRequest", "UnsupportedHeader", "MissingContentMD5"].includes(name))
  );
}

/** EngineErrors pass unchanged. */
export function s3StoreError(error: unknown, what: S3Action): EngineError {
  if (what.signal?.aborted === true) return abortError(what.signal);
  if (error instanceof EngineError) return error;
  const name = s3ErrorName(error);
  const status = s3Status(error);
  const message = `could not ${what.action} in ${what.url}`;
  if (error instanceof Error && /^Region (?:is missing|not accepted)/.test(error.message)) {
    const isMissing = error.message.startsWith("Region is missing");
    return new EngineError(
      "config",
      `${message}: ${isMissing ? "no region is set" : "the region is no name of one"}`,
      {
        cause: error,
        hint: "Set the region of the bucket (region, in a URL region=…, or AWS_REGION), or the endpoint of another provider.",
      },
    );
  }
  if (name === "NoSuchBucket") {
    return new EngineError("store-missing", `${message}: the bucket does not exist`, {
      cause: error,
      hint: "Create the bucket first; Tidemark does not, because its settings (region, versioning, who may read) are yours.",
    });
  }
  if (status === 407) {
    return new EngineError(
      "store-denied",
      `${message}: the proxy ${what.proxy ?? ""} wants credentials (407)`,
      {
        hint: "Name a file with its user:password (proxyCredentialsFile), or write them into HTTPS_PROXY.",
      },
    );
  }
  const denied =
    deniedHints[deniedAliases[name] ?? name] ??
    (status === 401 || status === 403 ? deniedHints.AccessDenied : undefined);
  if (denied !== undefined) {
    return new EngineError("store-denied", `${message}: ${serverWords(error, name)}`, {
      cause: error,
      hint: denied,
    });
  }
  if (regionCodes.has(name) || status === 301) return wrongRegion(message, error);
  if (
    status !== undefined &&
    status < 500 &&
    status >= 400 &&
    status !== 408 &&
    status !== 429 &&
    !passingCodes.has(name)
  ) {
    return new EngineError("store-denied", `${message}: ${serverWords(error, name)}`, {
      cause: error,
      ...(unwelcomeCodes.has(name) ? { hint: unwelcomeHint } : {}),
    });
  }
  return networkError({
    message,
    error,
    words: serverWords(error, systemErrorCode(error) ?? name),
    endpoint: what.endpoint,
    proxy: what.proxy,
    nameHint: ", and path-style if the bucket is part of the name",
  });
}

function wrongRegion(message: string, error: unknown): EngineError {
  const region = responseHeader(error, "x-amz-bucket-region");
  return new EngineError("store-denied", `${message}: the bucket is in another region`, {
    cause: error,
    hint: region === undefined ? "Set the region of the bucket." : `Set the region to ${region}.`,
  });
}

/** `SlowDown (503)`, `ECONNRESET`, or what else there is to say. */
function serverWords(error: unknown, name: string): string {
  const status = s3Status(error);
  const text = name === "" || name === "Error" ? describeError(error) : name;
  return status === undefined ? text : `${text} (${status})`;
}

function responseHeader(error: unknown, header: string): string | undefined {
  if (typeof error !== "object" || error === null || !("$response" in error)) return undefined;
  const response = error.$response as { readonly headers?: Readonly<Record<string, string>> } | undefined;
  return response?.headers?.[header];
}
