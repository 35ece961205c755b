import type { EngineError } from "../../common/errors.ts";
import { gib, mib, parseBytes } from "../../common/units.ts";
import {
  badUrl,
  bucketOf,
  parseBoolean,
  parseEndpoint,
  readParameters,
  secretInUrl,
  type UrlParameter,
} from "../url-parts.ts";
import { parseProxy } from "../network/proxy-choice.ts";
import { s3ProfileNames, type S3ProfileName } from "./s3-profile.ts";
import type { S3StoreOptions } from "./s3-store.ts";

/** What `s3://bucket/path?endpoint=…&region=…&path-style=true` says. Throws `usage`. */
export function parseS3Url(url: string, parsed: URL): S3StoreOptions {
  return {
    ...bucketOf(url, parsed, refuseSecret),
    ...readParameters(parsed, parameters, refuseSecret),
  };
}

const parameters: Readonly<Record<string, UrlParameter<S3StoreOptions>>> = {
  endpoint: (value) => ({ endpoint: parseEndpoint(value, refuseSecret) }),
  region: (region) => ({ region }),
  "path-style": (value, name) => ({ pathStyle: parseBoolean(value, name) }),
  "ca-file": (caFile) => ({ caFile }),
  profile: (value, name) => ({ profile: parseProfile(value, name) }),
  "aws-profile": (awsProfile) => ({ awsProfile }),
  proxy: (value) => {
    if (value !== "direct") parseProxy(value);
    return { proxy: value };
  },
  "part-size": (value, name) => ({ partBytes: parsePartBytes(value, name) }),
  "conditional-create": (value, name) => {
    if (value === "auto" || value === "always" || value === "never") return { conditionalCreate: value };
    throw badUrl(value, `is no value of "${name}"`, "Write auto, always or never.");
  },
};

function parseProfile(value: string, name: string): S3ProfileName {
  const profile = s3ProfileNames.find((known) => known === value);
  if (profile !== undefined) return profile;
  throw badUrl(value, `is no value of "${name}"`, `Write one of ${s3ProfileNames.join(", ")}.`);
}

/** Limits of S3 itself (and of `S3Store`'s capabilities). */
function parsePartBytes(value: string, name: string): number {
  const bytes = parseBytes(value);
  if (bytes >= 5 * mib && bytes <= 5 * gib) return bytes;
  const hint = "S3 takes parts of 5MiB to 5GiB; only the last one may be smaller.";
  throw badUrl(value, `is no value of "${name}"`, hint);
}

function refuseSecret(parsed: URL): EngineError {
  return secretInUrl(parsed, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, instead.");
}
