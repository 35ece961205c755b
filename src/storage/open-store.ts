/** From a URL, as people write it in configurations, to a store. Adapters are loaded when they are asked for. */
import { parseFileUrl } from "./file/file-url.ts";
import type { GcsStoreOptions } from "./gcs/gcs-store.ts";
import { parseGcsUrl } from "./gcs/gcs-url.ts";
import type { CallOptions, ObjectStore } from "./object-store.ts";
import type { S3StoreOptions } from "./s3/s3-store.ts";
import { parseS3Url } from "./s3/s3-url.ts";
import { badUrl, withoutQuery } from "./url-parts.ts";

export interface OpenStoreOptions extends CallOptions {
  /** Make the directory of a `file:` store when it is missing. */
  readonly createRoot?: boolean;
  /** Open a `file:` store without its directory too: it may be mounted later. Until then calls throw `store-missing`. */
  readonly allowMissingRoot?: boolean;
  /** What the URL does not say, or may not (credentials); the URL's own parameters win. */
  readonly s3?: Partial<Omit<S3StoreOptions, "bucket" | "prefix">>;
  readonly gcs?: Partial<Omit<GcsStoreOptions, "bucket" | "prefix">>;
}

/** What a store URL says. */
export type StoreLocation =
  | { readonly kind: "file"; readonly root: string }
  | { readonly kind: "s3"; readonly options: S3StoreOptions }
  | { readonly kind: "gcs"; readonly options: GcsStoreOptions };

const supported = "s3://bucket/path, gs://bucket/path, file:///path and plain paths";

/**
 * Opens the store at a URL, unwrapped (see `wrapStore`): `s3://bucket/path?endpoint=…&region=…&path-style=true`,
 * `gs://bucket/path`, `file:///path`, or a plain path. Throws `usage` for anything else, and for credentials in the URL.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const location = parseStoreUrl(url);
  switch (location.kind) {
    case "s3": {
      const { openS3Store } = await import("./s3/s3-store.ts");
      return openS3Store({ ...options.s3, ...location.options, ...signalOf(options) });
    }
    case "gcs": {
      const { openGcsStore } = await import("./gcs/gcs-store.ts");
      return openGcsStore({ ...options.gcs, ...location.options, ...signalOf(options) });
    }
    case "file": {
      const { openFileStore } = await import("./file/file-store.ts");
      const { createRoot = false, allowMissingRoot = false } = options;
      return openFileStore({ root: location.root, createRoot, allowMissingRoot, ...signalOf(options) });
    }
  }
}

/** Parses a store URL without opening anything. Throws `usage`. */
export function parseStoreUrl(url: string): StoreLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (url === "") throw badUrl(url, "is no place for a store", `Write one of ${supported}.`);
  if (scheme === undefined) return { kind: "file", root: url };
  const parsed = URL.parse(url);
  if (parsed === null) throw badUrl(url, "is not a URL", `Write one of ${supported}.`);
  switch (scheme) {
    case "file":
      return { kind: "file", root: parseFileUrl(url, parsed) };
    case "s3":
      return { kind: "s3", options: parseS3Url(url, parsed) };
    case "gs":
      return { kind: "gcs", options: parseGcsUrl(url, parsed) };
    default:
      throw badUrl(withoutQuery(parsed), `has the unknown scheme "${scheme}"`, `Supported are ${supported}.`);
  }
}

function signalOf(options: CallOptions): CallOptions {
  return options.signal === undefined ? {} : { signal: options.signal };
}
