import { EngineError } from "../../../common/errors.ts";
import { jsonProperty } from "../json-property.ts";
import { refuseVersion, type SecretProvider, type SecretReference } from "../secret-provider.ts";

/**
 * Secrets as environment variables of the control plane: `<prefix><key>`. With a property the value is JSON. The prefix
 * keeps manifests from reading everything that is in the environment.
 */
export class EnvironmentProvider implements SecretProvider {
  readonly title: string;
  readonly #prefix: string;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(prefix: string, environment: NodeJS.ProcessEnv) {
    this.#prefix = prefix;
    this.#environment = environment;
    this.title = `the environment, with prefix "${prefix}"`;
  }

  async get(reference: SecretReference): Promise<Uint8Array | undefined> {
    refuseVersion(this, reference);
    const { key, property } = reference;
    const value = this.#environment[this.#prefix + key];
    if (value === undefined) return undefined;
    if (property === undefined) return Buffer.from(value);
    const part = jsonProperty(Buffer.from(value), property);
    if (part === "absent") return undefined;
    if (part !== "no-json") return part;
    throw new EngineError(
      "secret-unavailable",
      `variable "${this.#prefix}${key}" is not JSON, and property "${property}" of it was asked for`,
      { hint: "Leave remoteRef.property out, or write the value as a JSON object." },
    );
  }
}
