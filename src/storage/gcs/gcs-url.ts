import type { EngineError } from "../../common/errors.ts";
import { gib, kib, parseBytes } from "../../common/units.ts";
import {
  badUrl,
  bucketOf,
  parseEndpoint,
  readParameters,
  secretInUrl,
  type UrlParameter,
} from "../url-parts.ts";
import type { GcsStoreOptions } from "./gcs-store.ts";

/** What the bytes of one request of an upload are a multiple of, but for the last: Google's own rule. */
export const uploadUnitBytes = 256 * kib;
/** Far more than fits in memory; Google has no limit but the object's. */
export const maxGcsPartBytes = 5 * gib;

/** What `gs://bucket/path?endpoint=…&ca-file=…&part-size=…` says. Throws `usage`. */
export function parseGcsUrl(url: string, parsed: URL): GcsStoreOptions {
  return {
    ...bucketOf(url, parsed, refuseSecret),
    ...readParameters(parsed, parameters, refuseSecret),
  };
}

const parameters: Readonly<Record<string, UrlParameter<GcsStoreOptions>>> = {
  endpoint: (value) => ({ endpoint: parseEndpoint(value, refuseSecret) }),
  "ca-file": (caFile) => ({ caFile }),
  "part-size": (value, name) => ({ partBytes: parsePartBytes(value, name) }),
};

function parsePartBytes(value: string, name: string): number {
  const bytes = parseBytes(value);
  if (bytes >= uploadUnitBytes && bytes <= maxGcsPartBytes) return bytes;
  throw badUrl(
    value,
    `is no value of "${name}"`,
    "Parts have 256KiB to 5GiB; only the last one may be smaller.",
  );
}

function refuseSecret(parsed: URL): EngineError {
  return secretInUrl(parsed, "set GOOGLE_APPLICATION_CREDENTIALS, or name a credentials file, instead.");
}
