import { EngineError } from "../../common/errors.ts";
import { compileGoRegexp, replaceAllAsGo } from "../../manifest/go-regexp.ts";

/** Names of values, from what their source calls them to what a Secret may call them. */

export type SecretValues = ReadonlyMap<string, Uint8Array>;

/** A Secret's key: `[-._a-zA-Z0-9]+` (Kubernetes, IsConfigMapKey). */
const foreign = /[^-._a-zA-Z0-9]/gu;

/**
 * Replaces what a Secret's key may not have: by `_`, or with the strategy Unicode by the character's number, `_U002f_`.
 * Throws `manifest` when two names become one.
 */
export function convertKeys(values: SecretValues, strategy: "Default" | "Unicode" = "Default"): SecretValues {
  const converted = new Map<string, Uint8Array>();
  for (const [key, value] of values) {
    const name = key.replaceAll(foreign, (character) =>
      strategy === "Default" ? "_" : `_U${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}_`,
    );
    if (converted.has(name)) {
      throw new EngineError("manifest", `secret name collision during conversion: ${name}`, {
        hint: "Use rewrite to tell them apart.",
      });
    }
    converted.set(name, value);
  }
  return converted;
}

export interface KeyRewrite {
  readonly source: string;
  readonly target: string;
}

/** Rewrites names, one step after the other; of two that become one, the last one stays. Throws `manifest`. */
export function rewriteKeys(values: SecretValues, steps: readonly KeyRewrite[]): SecretValues {
  return steps.reduce<SecretValues>((result, { source, target }) => {
    const expression = compileGoRegexp(source);
    if (expression === undefined) {
      throw new EngineError("manifest", `"${source}" is not a regular expression that is understood here`);
    }
    return new Map([...result].map(([key, value]) => [replaceAllAsGo(key, expression, target), value]));
  }, values);
}

/** Without values that have no name. Throws `manifest` for a name that a Secret's key cannot have. */
export function requireSecretKeys(values: SecretValues): SecretValues {
  const named = new Map([...values].filter(([key]) => key !== ""));
  for (const key of named.keys()) {
    const problem =
      key.length > 253
        ? `key has length ${key.length} but max is 253`
        : /[^-._a-zA-Z0-9]/u.test(key)
          ? `key has an invalid character, only alphanumeric, '-', '.' and '_' are allowed: ${key}`
          : undefined;
    if (problem === undefined) continue;
    throw new EngineError("manifest", `invalid secret keys: ${problem}`, {
      hint: "Use rewrite or conversionStrategy to change keys.",
    });
  }
  return named;
}
