/** From a URL, as people write it in configurations, to a store. Adapters are loaded when they are asked for. */
import { fileURLToPath } from "node:url";
import { EngineError } from "../common/errors.ts";
import { gib, mib, parseBytes } from "../common/units.ts";
import type { CallOptions, ObjectStore } from "./object-store.ts";
import type { S3StoreOptions } from "./s3/s3-store.ts";

export interface OpenStoreOptions extends CallOptions {
  /** Make the directory of a `file:` store when it is missing. */
  readonly createRoot?: boolean;
  /** Open a `file:` store without its directory too: it may be mounted later. Until then calls throw `store-missing`. */
  readonly allowMissingRoot?: boolean;
  /** What the URL does not say, or may not (credentials); the URL's own parameters win. */
  readonly s3?: Partial<Omit<S3StoreOptions, "bucket" | "prefix">>;
}

/** What a store URL says. */
export type StoreLocation =
  | { readonly kind: "file"; readonly root: string }
  | { readonly kind: "s3"; readonly options: S3StoreOptions };

const supported = "s3://bucket/path, file:///path and plain paths";

/**
 * Opens the store at a URL, unwrapped (see `wrapStore`): `s3://bucket/path?endpoint=…&region=…&path-style=true`,
 * `file:///path`, or a plain path. Throws `usage` for anything else, and for credentials in the URL.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const location = parseStoreUrl(url);
  if (location.kind === "s3") {
    const { openS3Store } = await import("./s3/s3-store.ts");
    return openS3Store({ ...options.s3, ...location.options, ...signalOf(options) });
  }
  const { openFileStore } = await import("./file/file-store.ts");
  const { createRoot = false, allowMissingRoot = false } = options;
  return openFileStore({ root: location.root, createRoot, allowMissingRoot, ...signalOf(options) });
}

/** Parses a store URL without opening anything. Throws `usage`. */
export function parseStoreUrl(url: string): StoreLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (url === "") throw usage(url, "is no place for a store", `Write one of ${supported}.`);
  if (scheme === undefined) return { kind: "file", root: url };
  const parsed = URL.parse(url);
  if (parsed === null) throw usage(url, "is not a URL", `Write one of ${supported}.`);
  if (parsed.username !== "" || parsed.password !== "") throw secretInUrl(parsed);
  switch (scheme) {
    case "file":
      return { kind: "file", root: parseFileUrl(url, parsed) };
    case "s3":
      return { kind: "s3", options: parseS3Url(url, parsed) };
    default:
      throw usage(url, `has the unknown scheme "${scheme}"`, `Supported are ${supported}.`);
  }
}

function parseFileUrl(url: string, parsed: URL): string {
  if (parsed.host !== "" || parsed.search !== "" || parsed.hash !== "") {
    throw usage(
      url,
      "is not a file URL with a path alone",
      "Write it with three slashes: file:///srv/backup.",
    );
  }
  try {
    return fileURLToPath(parsed);
  } catch {
    // An escape that is none, or of a slash.
    const hint = "A % in the path is written %25; or write a plain path.";
    throw usage(url, "has a path that cannot be read", hint);
  }
}

function parseS3Url(url: string, parsed: URL): S3StoreOptions {
  if (parsed.hostname === "") throw usage(url, "names no bucket", "Write s3://bucket/path.");
  if (parsed.hash !== "") throw usage(url, "has a fragment (#…)", "A # in the path is written %23.");
  let options: S3StoreOptions = {
    bucket: parsed.hostname,
    prefix: decodePath(parsed).replace(/^\/+|\/+$/g, ""),
  };
  for (const [name, value] of parsed.searchParams) {
    const parameter = s3Parameters[name];
    if (parameter === undefined && looksSecret(name)) throw secretInUrl(parsed);
    if (parameter === undefined) {
      const known = Object.keys(s3Parameters).join(", ");
      throw usage(withoutQuery(parsed), `has the unknown parameter "${name}"`, `Known are ${known}.`);
    }
    options = { ...options, ...parameter(value, name) };
  }
  return options;
}

function decodePath(parsed: URL): string {
  try {
    return decodeURIComponent(parsed.pathname);
  } catch {
    const hint = "A % in the path is written %25.";
    throw usage(withoutQuery(parsed), "has a % that begins no escape", hint);
  }
}

type Parameter = (value: string, name: string) => Partial<S3StoreOptions>;

const s3Parameters: Readonly<Record<string, Parameter>> = {
  endpoint: (value) => ({ endpoint: parseEndpoint(value) }),
  region: (region) => ({ region }),
  "path-style": (value, name) => ({ pathStyle: parseBoolean(value, name) }),
  "ca-file": (caFile) => ({ caFile }),
  "part-size": (value, name) => ({ partBytes: parsePartBytes(value, name) }),
  "conditional-create": (value, name) => {
    if (value === "auto" || value === "always" || value === "never") return { conditionalCreate: value };
    throw usage(value, `is no value of "${name}"`, "Write auto, always or never.");
  },
};

function parseEndpoint(value: string): string {
  const endpoint = URL.parse(value);
  if (endpoint === null || !["http:", "https:"].includes(endpoint.protocol)) {
    throw usage(value, "is not an endpoint", "Write it with its scheme: https://host:port.");
  }
  if (endpoint.username !== "" || endpoint.password !== "") throw secretInUrl(endpoint);
  return value.replace(/\/+$/, "");
}

/** Limits of S3 itself (and of `S3Store`'s capabilities). */
function parsePartBytes(value: string, name: string): number {
  const bytes = parseBytes(value);
  if (bytes >= 5 * mib && bytes <= 5 * gib) return bytes;
  const hint = "S3 takes parts of 5MiB to 5GiB; only the last one may be smaller.";
  throw usage(value, `is no value of "${name}"`, hint);
}

function parseBoolean(value: string, name: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw usage(value, `is no value of "${name}"`, "Write true or false.");
}

function looksSecret(name: string): boolean {
  return /secret|access.?key|token|password|credential/i.test(name);
}

function withoutQuery(parsed: URL): string {
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function secretInUrl(parsed: URL): EngineError {
  return usage(
    withoutQuery(parsed),
    "came with credentials in the URL",
    "URLs end up in logs and process lists: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, instead.",
  );
}

function usage(value: string, problem: string, hint: string): EngineError {
  return new EngineError("usage", `"${value}" ${problem}`, { hint });
}

function signalOf(options: CallOptions): CallOptions {
  return options.signal === undefined ? {} : { signal: options.signal };
}
