/** A file that holds the credentials of a store, for those whose credentials come from a secret store and are rotated there. */
import { stat } from "node:fs/promises";
import { systemClock, type Clock } from "../common/clock.ts";
import { readClosedFile, unreadableFile } from "../common/closed-file.ts";
import { EngineError } from "../common/errors.ts";

const what = "credentials file";

/** How often the file is looked at: what a look costs is nothing beside a request, and rotation is taken up soon. */
const lookMs = 1000;
/** A file that is not understood and this young may still be being written. */
const unfinishedMs = 5000;

/** What the credentials of one kind of store look like in their file. */
export interface CredentialsFormat<T> {
  /** Undefined for a text that is none. Written out instead of a schema: whatever says what is wrong with a value would show it. */
  readonly parse: (text: string) => T | undefined;
  /** How to write the file: a full sentence. */
  readonly hint: string;
  /** Whether nobody but its owner may be able to read it. Default true. */
  readonly ownerOnly?: boolean;
}

interface Known<T> {
  readonly credentials: T;
  /** Tells this content of the file from another one. */
  readonly version: string;
  readonly lookedAtMs: number;
}

/** The credentials of one file, read again when it has changed. */
export class CredentialsFile<T> {
  readonly #path: string;
  readonly #format: CredentialsFormat<T>;
  readonly #clock: Clock;
  #known: Known<T> | undefined;

  private constructor(path: string, format: CredentialsFormat<T>, clock: Clock) {
    this.#path = path;
    this.#format = format;
    this.#clock = clock;
  }

  /** Reads the file. @throws EngineError `config` when it cannot be read, holds none, or when others than its owner can read it. */
  static async open<T>(
    path: string,
    format: CredentialsFormat<T>,
    clock: Clock = systemClock,
  ): Promise<CredentialsFile<T>> {
    const file = new CredentialsFile(path, format, clock);
    await file.current();
    return file;
  }

  /**
   * What the file holds now: the same object as before while it is unchanged.
   *
   * @throws EngineError `config` when the file has become unusable; with one that is just being written it goes on as before.
   */
  async current(): Promise<T> {
    const known = this.#known;
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.lookedAtMs < lookMs) return known.credentials;
    const version = await versionOf(this.#path);
    const next = known?.version === version ? known : await this.#read(known);
    this.#known = { ...next, lookedAtMs: nowMs };
    return next.credentials;
  }

  async #read(known: Known<T> | undefined): Promise<Omit<Known<T>, "lookedAtMs">> {
    // Taken before the content: a change in between is seen as one by the next look.
    const version = await versionOf(this.#path);
    const { ownerOnly = true } = this.#format;
    const { text, modifiedAtMs } = await readClosedFile(this.#path, what, { ownerOnly });
    const credentials = this.#format.parse(text);
    if (credentials !== undefined) return { credentials, version };
    const ageMs = this.#clock.now().getTime() - modifiedAtMs;
    if (known !== undefined && ageMs < unfinishedMs) return known;
    throw new EngineError("config", `the ${what} "${this.#path}" does not hold credentials`, {
      hint: this.#format.hint,
    });
  }
}

/** Whether a file has been replaced or rewritten: its identity, its size and the time of its last writing. */
async function versionOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    throw unreadableFile(path, what, error);
  }
}

/** The object that a JSON text holds, or undefined when it holds none: what the parser says of it would show it. */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}
