/** Connections that fail, in the port's words: what is the same whichever store was to be reached. */
import { EngineError, systemErrorCode } from "../common/errors.ts";

/** What was being done, and what is known of why it failed. */
export interface NetworkFailure {
  /** `could not write "x" in s3://bucket`. */
  readonly message: string;
  readonly error: unknown;
  /** What the other side said, or the error's own words. */
  readonly words: string;
  /** Where the store was looked for, if not at its usual place. */
  readonly endpoint: string | undefined;
  /** What the way there goes through, without credentials. */
  readonly proxy: string | undefined;
  /** What to look at besides when the host's name is not known; a part of a sentence. */
  readonly nameHint?: string;
}

const tlsCodes =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT|INVALID_CA|HOSTNAME_MISMATCH|ERR_SSL_TLSV1_ALERT_UNKNOWN_CA)/;
const notTlsCodes = /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)/;

/**
 * A `store-unavailable` error: to be tried again, but for a certificate or a protocol that will not be another one then.
 * `config` for what Node refuses to send.
 */
export function networkError(failure: NetworkFailure): EngineError {
  const { message, error, words, endpoint, proxy, nameHint = "" } = failure;
  const code = systemErrorCode(error) ?? "";
  if (tlsCodes.test(code)) {
    return new EngineError(
      "store-unavailable",
      `${message}: the server's certificate is not accepted (${code})`,
      {
        cause: error,
        retryable: false,
        hint: "If a private authority signed it, name its certificate as the CA file (caFile, or NODE_EXTRA_CA_CERTS).",
      },
    );
  }
  if (notTlsCodes.test(code)) {
    return new EngineError("store-unavailable", `${message}: the server does not speak TLS (${code})`, {
      cause: error,
      retryable: false,
      hint: "If the store is reached by plain HTTP, write the endpoint with http://.",
    });
  }
  if (code === "ERR_INVALID_CHAR") {
    return new EngineError("config", `${message}: the credentials hold a character that cannot be sent`, {
      hint: "Copy them again: a line break or a space may have come along.",
    });
  }
  const at = endpoint === undefined ? "" : ` at ${endpoint}`;
  const hint =
    code === "ENOTFOUND"
      ? `The name of the host is not known here: check the endpoint${at}${nameHint}.`
      : code === "ECONNREFUSED"
        ? proxy === undefined
          ? `Nothing listens${at}: check the endpoint, and that the store runs.`
          : `Nothing listens at the proxy ${proxy}, or${at === "" ? " at the store" : at}: check both.`
        : code === "ETIMEDOUT" && proxy !== undefined
          ? `The proxy ${proxy} does not answer, or the store behind it: check both.`
          : undefined;
  return new EngineError("store-unavailable", `${message}: ${words}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
