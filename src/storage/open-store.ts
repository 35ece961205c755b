/** From a URL, as people write it in configurations, to a store. Adapters are loaded when they are asked for. */
import { signalOption } from "../common/abort.ts";
import type { AzureStoreOptions } from "./azure/azure-store.ts";
import { parseAzureUrl } from "./azure/azure-url.ts";
import { parseFileUrl } from "./file/file-url.ts";
import type { GcsStoreOptions } from "./gcs/gcs-store.ts";
import { parseGcsUrl } from "./gcs/gcs-url.ts";
import type { CallOptions, ObjectStore } from "./object-store.ts";
import type { S3StoreOptions } from "./s3/s3-store.ts";
import { parseS3Url } from "./s3/s3-url.ts";
import { badUrl, parseEndpoint, secretInUrl, withoutSecrets } from "./url-parts.ts";

export interface OpenStoreOptions extends CallOptions {
  /** Make the directory of a `file:` store when it is missing. */
  readonly createRoot?: boolean;
  /** Open a `file:` store without looking at its directory: it may be mounted later. Until then calls throw what is wrong with it. */
  readonly allowMissingRoot?: boolean;
  /** What the URL does not say, or may not (credentials); the URL's own parameters win. */
  readonly s3?: Partial<Omit<S3StoreOptions, "bucket" | "prefix">>;
  readonly gcs?: Partial<Omit<GcsStoreOptions, "bucket" | "prefix">>;
  /** The same for a container of Azure. */
  readonly azure?: Partial<Omit<AzureStoreOptions, "account" | "container" | "prefix">>;
}

/** What a store URL says. */
export type StoreLocation =
  | { readonly kind: "file"; readonly root: string }
  | { readonly kind: "s3"; readonly options: S3StoreOptions }
  | { readonly kind: "gcs"; readonly options: GcsStoreOptions }
  | { readonly kind: "azure"; readonly options: AzureStoreOptions };

const supported =
  "s3://bucket/path, gs://bucket/path, azure://account/container/path (or its https:// address), file:///path and plain paths";

/**
 * Opens the store at a URL, unwrapped (see `wrapStore`): `s3://bucket/path?endpoint=…&region=…&path-style=true`,
 * `gs://bucket/path`, `https://account.blob.core.windows.net/container/path`, `azure://account/container/path`,
 * `file:///path`, or a plain path. Throws `usage` for anything else, and for credentials in the URL; `config` for
 * credentials that cannot be read.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const location = parseStoreUrl(url);
  const signal = signalOption(options.signal);
  switch (location.kind) {
    case "s3": {
      const { openS3Store } = await import("./s3/s3-store.ts");
      return openS3Store({ ...checked(options.s3), ...location.options, ...signal });
    }
    case "gcs": {
      const { openGcsStore } = await import("./gcs/gcs-store.ts");
      return openGcsStore({ ...checked(options.gcs), ...location.options, ...signal });
    }
    case "azure": {
      const { openAzureStore } = await import("./azure/azure-store.ts");
      return openAzureStore({ ...checked(options.azure), ...location.options, ...signal });
    }
    case "file": {
      const { openFileStore } = await import("./file/file-store.ts");
      const { createRoot = false, allowMissingRoot = false } = options;
      return openFileStore({ root: location.root, createRoot, allowMissingRoot, ...signal });
    }
  }
}

/** Settings with their endpoint, if any, as strictly looked at as in a URL. Throws `usage`. */
function checked<T extends { readonly endpoint?: string }>(settings: T | undefined): Partial<T> {
  if (settings?.endpoint === undefined) return settings ?? {};
  const refuseSecret = (endpoint: URL) =>
    secretInUrl(endpoint, "name a credentials file, or set them in the environment, instead.");
  return { ...settings, endpoint: parseEndpoint(settings.endpoint, refuseSecret) };
}

/** Parses a store URL without opening anything. Throws `usage`. */
export function parseStoreUrl(url: string): StoreLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (url === "") throw badUrl(url, "is no place for a store", `Write one of ${supported}.`);
  if (scheme === undefined) return { kind: "file", root: url };
  const parsed = URL.parse(url);
  if (parsed === null) throw badUrl(withoutSecrets(url), "is not a URL", `Write one of ${supported}.`);
  switch (scheme) {
    case "file":
      return { kind: "file", root: parseFileUrl(url, parsed) };
    case "s3":
      return { kind: "s3", options: parseS3Url(url, parsed) };
    case "gs":
      return { kind: "gcs", options: parseGcsUrl(url, parsed) };
    case "azure":
    case "https":
    case "http":
      return { kind: "azure", options: parseAzureUrl(parsed) };
    default:
      throw badUrl(withoutSecrets(url), `has the unknown scheme "${scheme}"`, `Supported are ${supported}.`);
  }
}
