/**
 * What Google's storage, its token endpoints and the network say, in the port's words. Google documents statuses and
 * reasons under "HTTP status and error codes for JSON".
 */
import { abortError } from "../../common/abort.ts";
import { describeError, EngineError, systemErrorCode } from "../../common/errors.ts";
import { networkError } from "../network-errors.ts";

/** An answer that is no success. Its message is what the server says; it holds no credentials. */
export class GcsAnswerError extends Error {
  override readonly name = "GcsAnswerError";
  readonly status: number;
  /** `notFound`, `forbidden`, `rateLimitExceeded`, …; empty where the answer gives none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** From the body of an answer that is no success: Google's JSON, or whatever a proxy wrote instead. */
export function answerError(status: number, body: string): GcsAnswerError {
  const { error } = (safeParse(body) ?? {}) as {
    readonly error?: {
      readonly message?: unknown;
      readonly errors?: readonly { readonly reason?: unknown }[];
    };
  };
  const reason = error?.errors?.[0]?.reason;
  const message = typeof error?.message === "string" ? error.message : body;
  return new GcsAnswerError(status, typeof reason === "string" ? reason : "", firstLine(message));
}

function safeParse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function firstLine(text: string): string {
  return (/^\s*([^\r\n]*)/.exec(text)?.[1] ?? "").slice(0, 300);
}

export function gcsStatus(error: unknown): number | undefined {
  return error instanceof GcsAnswerError ? error.status : undefined;
}

/** What was being done, for the message. */
export interface GcsAction {
  /** A verb phrase: `write "wals/x"`. */
  readonly action: string;
  /** Where: `gs://bucket/path`. */
  readonly url: string;
  readonly endpoint: string | undefined;
  readonly proxy: string | undefined;
  readonly signal: AbortSignal | undefined;
}

const passingStatuses = new Set([408, 429]);
/** Refusals with a 4xx status that nevertheless pass. */
const passingReasons = new Set(["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "conflict"]);
const deniedHints: Readonly<Record<number, string>> = {
  401: "The credentials are not accepted: check that the key still exists and its service account is enabled, and that the clock of this machine is right.",
  403: "Give this account the role Storage Object User (roles/storage.objectUser) on the bucket; where the credentials name a quota project, it must be one that they may use.",
};

/** EngineErrors pass unchanged. */
export function gcsStoreError(error: unknown, what: GcsAction): EngineError {
  if (what.signal?.aborted === true) return abortError(what.signal);
  if (error instanceof EngineError) return error;
  const message = `could not ${what.action} in ${what.url}`;
  if (!(error instanceof GcsAnswerError)) {
    const words = systemErrorCode(error) ?? describeError(error);
    return networkError({ message, error, words, endpoint: what.endpoint, proxy: what.proxy });
  }
  const { status, reason } = error;
  const words = reason === "" ? `status ${status}` : `${reason} (${status})`;
  if (isPassing(error)) return new EngineError("store-unavailable", `${message}: ${words}`, { cause: error });
  if (status === 407) {
    return new EngineError(
      "store-denied",
      `${message}: the proxy ${what.proxy ?? ""} wants credentials (407)`,
      { hint: "Name a file with its user:password (proxyCredentialsFile), or write them into HTTPS_PROXY." },
    );
  }
  const hint = deniedHints[status];
  return new EngineError("store-denied", `${message}: ${words}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function isPassing({ status, reason, message }: GcsAnswerError): boolean {
  if (status < 400 || status >= 500 || passingStatuses.has(status) || passingReasons.has(reason)) return true;
  // The bytes that arrived are not those that were sent.
  return status === 400 && /crc32c|md5|hash/i.test(message);
}

export function bucketMissing(action: string, url: string): EngineError {
  return new EngineError("store-missing", `could not ${action} in ${url}: the bucket does not exist`, {
    hint: "Create the bucket first; Tidemark does not, because its settings (region, versioning, who may read) are yours.",
  });
}

/**
 * Why there is no token. Nothing of the error itself is passed on but what is known to be harmless: it may hold, or quote,
 * the key.
 */
export function credentialsError(error: unknown, signal: AbortSignal | undefined): EngineError {
  if (signal?.aborted === true) return abortError(signal);
  if (error instanceof EngineError) return error;
  const code = systemErrorCode(error) ?? "";
  const { response } = error as { readonly response?: { readonly status?: number; readonly data?: unknown } };
  if (response?.status !== undefined) return tokenRefused(response.status, response.data);
  if (code.startsWith("ERR_OSSL") || code.startsWith("ERR_CRYPTO")) {
    return new EngineError("config", `the private key of the Google credentials cannot be used (${code})`, {
      hint: "Take the key file as Google gave it, with its line breaks (\\n) in private_key.",
    });
  }
  if (/^E[A-Z_]+$/.test(code) || code === "TimeoutError") {
    return new EngineError("store-unavailable", `could not get a token for Google's storage: ${code}`, {
      hint: "Check that this machine reaches the token endpoint (oauth2.googleapis.com, or the one that the credentials name).",
    });
  }
  return new EngineError(
    "store-denied",
    "could not get a token for Google's storage: there are no usable credentials",
    {
      hint: "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, name one as credentialsFile, log in with gcloud auth application-default login, or run where a service account is attached.",
    },
  );
}

function tokenRefused(status: number, data: unknown): EngineError {
  const { error, error_description: description } = (
    typeof data === "object" && data !== null ? data : {}
  ) as { readonly error?: unknown; readonly error_description?: unknown };
  const words = [error, description].filter(isHarmless).join(": ");
  const message = `could not get a token for Google's storage: ${words === "" ? "refused" : words} (${status})`;
  if (status >= 500 || passingStatuses.has(status)) return new EngineError("store-unavailable", message);
  return new EngineError("store-denied", message, {
    hint: "Check that the key still exists and its service account is enabled, and that the clock of this machine is right.",
  });
}

/** A sentence, and not something that might be a token. */
function isHarmless(words: unknown): words is string {
  return typeof words === "string" && words.length <= 300 && !/\S{40}/.test(words);
}
