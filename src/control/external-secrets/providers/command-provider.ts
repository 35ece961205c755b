import { EngineError } from "../../../common/errors.ts";
import { jsonProperty } from "../json-property.ts";
import {
  maxSecretBytes,
  refuseVersion,
  withoutFinalNewline,
  type SecretProvider,
  type SecretReference,
} from "../secret-provider.ts";
import { fillCommand, placeholdersIn } from "./command-template.ts";
import { firstStderrLine } from "./first-stderr-line.ts";
import { runCommand, type CommandRun } from "./run-command.ts";

export interface CommandProviderOptions {
  /** The store's name, for messages. */
  readonly name: string;
  /** Program and arguments, with `{key}`, `{property}` and `{version}` in them. */
  readonly command: readonly string[];
  /** The same where no property is asked for; `command` when left out. */
  readonly withoutProperty: readonly string[] | undefined;
  /** Where in the JSON that is printed the secret stands; the whole output when left out. */
  readonly result: string | undefined;
  readonly firstLineOnly: boolean;
  /** Exit statuses that say for certain that there is no such secret. */
  readonly absentStatuses: readonly number[];
  readonly timeoutMs: number;
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Secrets that a program prints: a password manager's command line, a script. Its standard output is the value, without the
 * final newline. A property that the command has no place for is looked for in the output, which is JSON then.
 */
export class CommandProvider implements SecretProvider {
  readonly title: string;
  readonly #options: CommandProviderOptions;

  constructor(options: CommandProviderOptions) {
    this.#options = options;
    this.title = `command "${options.command[0] ?? ""}" of the secret store "${options.name}"`;
  }

  async get(reference: SecretReference, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { withoutProperty, absentStatuses } = this.#options;
    const { property } = reference;
    const template =
      property === undefined ? (withoutProperty ?? this.#options.command) : this.#options.command;
    const placeholders = placeholdersIn(template);
    if (!placeholders.has("version")) refuseVersion(this, reference);
    const run = await runCommand(
      fillCommand(template, reference),
      { ...this.#options, maxOutputBytes: maxSecretBytes },
      signal,
    );
    if (run.status !== undefined && absentStatuses.includes(run.status)) return undefined;
    if (run.status !== 0) throw this.#failed(run);
    const secret = this.#secretIn(run.stdout);
    if (secret === undefined || property === undefined || placeholders.has("property")) return secret;
    return this.#part(secret, property);
  }

  #secretIn(output: Buffer): Uint8Array | undefined {
    const { result, firstLineOnly } = this.#options;
    const text = withoutFinalNewline(output);
    if (result !== undefined) return this.#part(text, result);
    const end = firstLineOnly ? text.indexOf(0x0a) : -1;
    return end < 0 ? text : withoutFinalNewline(text.subarray(0, end + 1));
  }

  #part(secret: Uint8Array, path: string): Uint8Array | undefined {
    const part = jsonProperty(secret, path);
    if (part === "absent") return undefined;
    if (part !== "no-json") return part;
    throw new EngineError(
      "secret-unavailable",
      `what ${this.title} printed is not JSON, and "${path}" of it was asked for`,
      { hint: "Give the command {property} as an argument, or let it print JSON." },
    );
  }

  #failed(run: CommandRun): EngineError {
    const how = run.status === undefined ? "was ended by a signal" : `ended with status ${run.status}`;
    const line = firstStderrLine(run, this.#options.environment);
    return new EngineError("secret-unavailable", `${this.title} ${how}${line === "" ? "" : `: ${line}`}`);
  }
}
