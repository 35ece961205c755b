import { throwIfAborted } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { compileGoRegexp } from "../../manifest/go-regexp.ts";
import type { ExternalSecretSpec } from "../../manifest/kinds/external-secret.ts";
import { decodeValue } from "./decoding.ts";
import { jsonFields } from "./json-property.ts";
import { convertKeys, requireSecretKeys, rewriteKeys, type SecretValues } from "./secret-keys.ts";
import { providerFor, type SecretProviders } from "./secret-provider.ts";

/** What the sources of an ExternalSecret hold. */
export interface FetchedValues {
  readonly values: SecretValues;
  /** What its source does not have, in words; only where that is no failure. */
  readonly missing: readonly string[];
}

type DataItem = NonNullable<ExternalSecretSpec["data"]>[number];
type DataFromItem = NonNullable<ExternalSecretSpec["dataFrom"]>[number];

/**
 * Asks the providers for everything that an ExternalSecret names, `dataFrom` first, so that `data` wins. With the
 * deletionPolicy Retain, which is the default, a secret that its source does not have is a failure.
 *
 * @throws EngineError what the providers throw, `secret-unavailable` for a missing secret, `manifest` for keys that no Secret
 * can have; each says which entry it was.
 */
export async function fetchValues(
  spec: ExternalSecretSpec,
  providers: SecretProviders,
  signal: AbortSignal,
): Promise<FetchedValues> {
  const values = new Map<string, Uint8Array>();
  const missing: string[] = [];
  const isMissingAllowed = (spec.target?.deletionPolicy ?? "Retain") !== "Retain";
  const noteMissing = (place: string, message: string): void => {
    if (!isMissingAllowed) throw inPlace(place, new EngineError("secret-unavailable", message));
    missing.push(`secret does not exist at provider using ${place}`);
  };
  for (const [index, item] of (spec.dataFrom ?? []).entries()) {
    throwIfAborted(signal);
    const place = `spec.dataFrom[${index}]`;
    const found = await naming(place, async () => valuesFrom(item, spec, providers, signal));
    if (typeof found === "string") noteMissing(place, found);
    else for (const [key, value] of found) values.set(key, value);
  }
  for (const [index, item] of (spec.data ?? []).entries()) {
    throwIfAborted(signal);
    const place = `spec.data[${index}] (key: ${item.remoteRef.key})`;
    const found = await naming(place, async () => valueOf(item, spec, providers, signal));
    if (typeof found === "string") noteMissing(place, found);
    else values.set(item.secretKey, found);
  }
  return { values, missing };
}

async function naming<T>(place: string, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    throw inPlace(place, error);
  }
}

/** The failure of one entry, with its own code and hint. */
function inPlace(place: string, cause: unknown): unknown {
  if (!(cause instanceof EngineError) || cause.code === "aborted") return cause;
  return new EngineError(cause.code, `error processing ${place}`, {
    cause,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
  });
}

/** The value, or that there is none, in words. */
async function valueOf(
  { secretKey, remoteRef, sourceRef }: DataItem,
  spec: ExternalSecretSpec,
  providers: SecretProviders,
  signal: AbortSignal,
): Promise<Uint8Array | string> {
  const provider = providerFor(providers, (sourceRef?.storeRef ?? spec.secretStoreRef)?.name);
  const found = await provider.get(remoteRef, signal);
  if (found === undefined) return absence(remoteRef, provider.title);
  const value = decodeValue(found, remoteRef.decodingStrategy);
  refuseNullBytes(secretKey, value, remoteRef.nullBytePolicy);
  return value;
}

async function valuesFrom(
  { extract, find, rewrite, sourceRef }: DataFromItem,
  spec: ExternalSecretSpec,
  providers: SecretProviders,
  signal: AbortSignal,
): Promise<SecretValues | string> {
  const provider = providerFor(providers, (sourceRef?.storeRef ?? spec.secretStoreRef)?.name);
  const how = extract ?? find;
  if (how === undefined) return new Map();
  let found: SecretValues;
  if (extract !== undefined) {
    const secret = await provider.get(extract, signal);
    if (secret === undefined) return absence(extract, provider.title);
    const fields = jsonFields(secret);
    if (fields === undefined) {
      throw new EngineError(
        "secret-unavailable",
        `"${extract.key}" in ${provider.title} is not a JSON object`,
        {
          hint: "Name it in data to take it as it is.",
        },
      );
    }
    found = fields;
  } else {
    found = await findValues(find, provider, signal);
  }
  const steps = (rewrite ?? []).flatMap(({ regexp }) => regexp ?? []);
  const renamed = steps.length > 0 ? rewriteKeys(found, steps) : convertKeys(found, how.conversionStrategy);
  return new Map(
    [...requireSecretKeys(renamed)].map(([key, value]) => {
      const decoded = decodeValue(value, how.decodingStrategy);
      refuseNullBytes(key, decoded, how.nullBytePolicy);
      return [key, decoded];
    }),
  );
}

async function findValues(
  find: DataFromItem["find"],
  provider: ReturnType<typeof providerFor>,
  signal: AbortSignal,
): Promise<SecretValues> {
  const expression = compileGoRegexp(find?.name?.regexp ?? "");
  if (provider.find === undefined || expression === undefined) {
    throw new EngineError(
      "config",
      `${provider.title} cannot say which secrets it has, so none can be found`,
      {
        hint: "Name each one in data, or in dataFrom with extract.",
      },
    );
  }
  return provider.find({ path: find?.path, matches: (key) => expression.test(key) }, signal);
}

function absence(
  { key, property }: { readonly key: string; readonly property?: string | undefined },
  title: string,
): string {
  return property === undefined
    ? `there is no "${key}" in ${title}`
    : `there is no property "${property}" of "${key}" in ${title}`;
}

function refuseNullBytes(key: string, value: Uint8Array, policy: "Ignore" | "Fail" = "Ignore"): void {
  if (policy === "Ignore" || !value.includes(0)) return;
  throw new EngineError("secret-unavailable", `fetched secret value for key "${key}" contains null bytes`, {
    hint: "Use a text-safe format such as PEM or base 64, or leave nullBytePolicy unset for binary data.",
  });
}
