import { isUtf8 } from "node:buffer";
import { EngineError } from "../../common/errors.ts";

/** Names a secret in the words of an ExternalSecret's `remoteRef`; what it means is the provider's. */
export interface SecretReference {
  readonly key: string;
  /** A part of it: a field of a JSON object, of a password manager's entry. */
  readonly property?: string | undefined;
  readonly version?: string | undefined;
}

/** Which secrets are wanted, of those that a provider has. */
export interface SecretSearch {
  /** Only those below it. */
  readonly path: string | undefined;
  readonly matches: (key: string) => boolean;
}

/**
 * Where the values of ExternalSecrets come from on this machine. Values are bytes, and are in no error, log line or name.
 */
export interface SecretProvider {
  /** For messages: `directory "/etc/secrets"`. */
  readonly title: string;
  /**
   * Undefined when there certainly is no such secret. Throws `secret-unavailable` when it cannot be had (now), `config`
   * when it is asked for in a way that this provider does not have.
   */
  get(reference: SecretReference, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** All that match, by key; left out by providers that cannot tell what they have. Throws as `get`. */
  find?(search: SecretSearch, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>>;
}

/** The providers of a control plane. */
export interface SecretProviders {
  /** By the name of the SecretStore or ClusterSecretStore that an ExternalSecret refers to. */
  readonly byStore: ReadonlyMap<string, SecretProvider>;
  /** For all other names, and for none. */
  readonly fallback: SecretProvider | undefined;
}

/** The provider for a store's name. Throws `config` when there is none. */
export function providerFor(
  { byStore, fallback }: SecretProviders,
  store: string | undefined,
): SecretProvider {
  const provider = (store === undefined ? undefined : byStore.get(store)) ?? fallback;
  if (provider !== undefined) return provider;
  const known = [...byStore.keys()].map((name) => `"${name}"`).join(", ");
  throw new EngineError(
    "config",
    store === undefined ? "no secret store is named" : `there is no provider for the secret store "${store}"`,
    {
      hint: `Name it in the section secret-providers of the settings, or give a default there${known === "" ? "" : `; there is ${known}`}.`,
    },
  );
}

/** Kubernetes' limit for a whole Secret: what is larger could not be stored. */
export const maxSecretBytes = 1024 * 1024;

/**
 * A value without the newline that editors and commands put behind it. What is no text is left alone: a binary value may
 * end with the same byte.
 */
export function withoutFinalNewline(value: Uint8Array): Uint8Array {
  if (value.at(-1) !== 0x0a || value.includes(0) || !isUtf8(value)) return value;
  return value.subarray(0, value.at(-2) === 0x0d ? -2 : -1);
}

/** Throws `config` for a version, which this provider does not have: another value than the one meant is worse than none. */
export function refuseVersion({ title }: SecretProvider, { key, version }: SecretReference): void {
  if (version === undefined || version === "") return;
  throw new EngineError(
    "config",
    `version "${version}" of "${key}" was asked for, and ${title} has no versions`,
    {
      hint: "Leave remoteRef.version out.",
    },
  );
}
