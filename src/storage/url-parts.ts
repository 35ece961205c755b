import { EngineError } from "../common/errors.ts";

/** What parsers of store URLs share. Each kind of store has its own, beside its adapter. */

/** Of a parsed URL, what may be repeated in a message. */
export function withoutQuery(parsed: URL): string {
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

/** Of a text that may be no URL, what may be repeated in a message: nothing that stands before an `@` or behind a `?` or `#`. */
export function withoutSecrets(text: string): string {
  return text.replace(/[?#].*$/s, "").replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1…@");
}

/** The path with its escapes decoded, without slashes at its ends. Throws `usage` for a `%` that begins no escape. */
export function prefixOf(parsed: URL): string {
  try {
    return decodeURIComponent(parsed.pathname).replace(/^\/+|\/+$/g, "");
  } catch {
    const hint = "A % in the path is written %25.";
    throw badUrl(withoutQuery(parsed), "has a % that begins no escape", hint);
  }
}

/** Bucket and path of `scheme://bucket/path`. Throws `usage` for a URL that has none, or something else besides. */
export function bucketOf(
  url: string,
  parsed: URL,
  refuseSecret: (parsed: URL) => EngineError,
): { readonly bucket: string; readonly prefix: string } {
  if (parsed.username !== "" || parsed.password !== "") throw refuseSecret(parsed);
  if (parsed.hostname === "") {
    throw badUrl(withoutSecrets(url), "names no bucket", `Write ${parsed.protocol}//bucket/path.`);
  }
  if (parsed.port !== "") {
    throw badUrl(
      withoutQuery(parsed),
      `has a port ("${parsed.port}") where a bucket's name is`,
      `Where the server is goes behind a ?: ${parsed.protocol}//bucket/path?endpoint=https://host:${parsed.port}.`,
    );
  }
  if (parsed.hash !== "")
    throw badUrl(withoutQuery(parsed), "has a fragment (#…)", "A # in the path is written %23.");
  return { bucket: parsed.hostname, prefix: prefixOf(parsed) };
}

/** What one parameter behind the `?` says. Throws `usage`. */
export type UrlParameter<T> = (value: string, name: string) => Partial<T>;

/** What all parameters say. Throws `usage` for one that is unknown, and for one that looks like a credential. */
export function readParameters<T>(
  parsed: URL,
  parameters: Readonly<Record<string, UrlParameter<T>>>,
  refuseSecret: (parsed: URL) => EngineError,
): Partial<T> {
  let options: Partial<T> = {};
  for (const [name, value] of parsed.searchParams) {
    const parameter = parameters[name];
    if (parameter === undefined && looksSecret(name)) throw refuseSecret(parsed);
    if (parameter === undefined) {
      const known = Object.keys(parameters).join(", ");
      throw badUrl(withoutQuery(parsed), `has the unknown parameter "${name}"`, `Known are ${known}.`);
    }
    options = { ...options, ...parameter(value, name) };
  }
  return options;
}

/** An endpoint with its scheme, without a slash at its end. Throws `usage`. */
export function parseEndpoint(value: string, refuseSecret: (parsed: URL) => EngineError): string {
  const endpoint = URL.parse(value);
  const isPlace = endpoint?.search === "" && endpoint.hash === "" && /^https?:$/.test(endpoint.protocol);
  if (endpoint === null || !isPlace) {
    throw badUrl(withoutSecrets(value), "is not an endpoint", "Write it with its scheme: https://host:port.");
  }
  if (endpoint.username !== "" || endpoint.password !== "") throw refuseSecret(endpoint);
  return value.replace(/\/+$/, "");
}

export function parseBoolean(value: string, name: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw badUrl(value, `is no value of "${name}"`, "Write true or false.");
}

/** A URL that carries credentials; `instead` says where they belong. */
export function secretInUrl(parsed: URL, instead: string): EngineError {
  return badUrl(
    withoutQuery(parsed),
    "came with credentials in the URL",
    `URLs end up in logs and process lists: ${instead}`,
  );
}

export function badUrl(value: string, problem: string, hint: string): EngineError {
  return new EngineError("usage", `"${value}" ${problem}`, { hint });
}

function looksSecret(name: string): boolean {
  return /secret|access.?key|token|password|credential/i.test(name);
}
