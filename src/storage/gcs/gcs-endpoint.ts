/** Where Google's storage is asked for, and whether credentials may go there. */
import { EngineError } from "../../common/errors.ts";
import { withoutSecrets } from "../url-parts.ts";

const google = "https://storage.googleapis.com";

export interface GcsEndpoint {
  /** Scheme, host and port, with a path where the server has one; no slash at its end. */
  readonly url: string;
  /** What messages name: undefined for Google's own. */
  readonly given: string | undefined;
  /** An emulator, which is asked without credentials unless a credentials file is named. */
  readonly isEmulator: boolean;
}

/**
 * The endpoint given, else what STORAGE_EMULATOR_HOST names (`host:port` or a URL), else Google's own. An emulator is what
 * that variable names, and whatever is reached by plain HTTP: Google's own endpoints, private ones included, speak TLS alone.
 */
export function gcsEndpoint(given: string | undefined, environment: NodeJS.ProcessEnv): GcsEndpoint {
  const emulator = emulatorOf(environment["STORAGE_EMULATOR_HOST"]);
  const url = given ?? emulator;
  if (url === undefined) return { url: google, given: undefined, isEmulator: false };
  return { url, given: url, isEmulator: url === emulator || url.startsWith("http:") };
}

function emulatorOf(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  const url = /^https?:\/\//i.test(value) ? value : `http://${value}`;
  if (URL.parse(url) === null) {
    throw new EngineError("config", `STORAGE_EMULATOR_HOST names no server: "${withoutSecrets(value)}"`, {
      hint: "Write host:port, or a URL; or unset it for Google's own storage.",
    });
  }
  // Some write the whole base of the API into the variable.
  return url.replace(/\/+$/, "").replace(/\/storage\/v1$/, "");
}

/** Throws `config` where a token would travel readable for others: plain HTTP, but within this machine. */
export function requireSafeForTokens({ url }: GcsEndpoint, credentialsFile: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return;
  throw new EngineError(
    "config",
    `the credentials of "${credentialsFile}" are not sent to ${url}: others could read them on their way`,
    { hint: "Write the endpoint with https://; an emulator needs no credentials file." },
  );
}
