/** S3 credentials from a file of our own, for those whose credentials come from a secret store and are rotated there. */
import { stat } from "node:fs/promises";
import { systemClock, type Clock } from "../../common/clock.ts";
import { readClosedFile, unreadableFile } from "../../common/closed-file.ts";
import { EngineError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
}

/** What the SDK wants of a credentials provider. */
export interface S3Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export function identityOf({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): S3Identity {
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.reveal(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
  };
}

const what = "credentials file";

/** How often the file is looked at: what a look costs is nothing beside a request, and rotation is taken up soon. */
const lookMs = 1000;
/** A file that is not understood and this young may still be being written. */
const unfinishedMs = 5000;

interface Known {
  readonly credentials: S3Credentials;
  /** Tells this content of the file from another one. */
  readonly version: string;
  readonly lookedAtMs: number;
}

/** The credentials of one file, read again when it has changed. */
export class S3CredentialsFile {
  readonly #path: string;
  readonly #clock: Clock;
  #known: Known | undefined;

  private constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Reads the file. @throws EngineError `config`, as `readCredentialsFile`. */
  static async open(path: string, clock: Clock = systemClock): Promise<S3CredentialsFile> {
    const file = new S3CredentialsFile(path, clock);
    await file.identity();
    return file;
  }

  /**
   * A credentials provider for the SDK. The SDK keeps what it was given until five minutes before `expiration`
   * (`memoizeIdentityProvider`), so it is given a moment that has come: then it asks before every request, and this
   * answers from memory.
   *
   * @throws EngineError `config` when the file has become unusable; with one that is just being written it goes on as before.
   */
  async identity(): Promise<S3Identity> {
    const { credentials } = await this.#current();
    return { ...identityOf(credentials), expiration: this.#clock.now() };
  }

  async #current(): Promise<Known> {
    const known = this.#known;
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.lookedAtMs < lookMs) return known;
    const version = await versionOf(this.#path);
    if (known?.version === version) this.#known = { ...known, lookedAtMs: nowMs };
    else this.#known = { ...(await this.#read(known)), lookedAtMs: nowMs };
    return this.#known;
  }

  async #read(known: Known | undefined): Promise<Omit<Known, "lookedAtMs">> {
    const content = await readCredentialsFile(this.#path);
    if (content.credentials !== undefined) return { ...content, credentials: content.credentials };
    const ageMs = this.#clock.now().getTime() - content.modifiedAtMs;
    if (known !== undefined && ageMs < unfinishedMs) return known;
    throw notCredentials(this.#path);
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

interface FileContent {
  /** Undefined when the content is none. */
  readonly credentials: S3Credentials | undefined;
  readonly version: string;
  readonly modifiedAtMs: number;
}

/** Throws `config` when the file cannot be read, or when others than its owner can read it. */
async function readCredentialsFile(path: string): Promise<FileContent> {
  // Taken before the content: a change in between is seen as one by the next look.
  const version = await versionOf(path);
  const { text, modifiedAtMs } = await readClosedFile(path, what);
  return { credentials: parseCredentials(text), version, modifiedAtMs };
}

/** Written out instead of a schema: whatever says what is wrong with a value would show it. */
function parseCredentials(text: string): S3Credentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { accessKeyId, secretAccessKey, sessionToken } = value as Readonly<Record<string, unknown>>;
  if (typeof accessKeyId !== "string" || accessKeyId === "") return undefined;
  if (typeof secretAccessKey !== "string" || secretAccessKey === "") return undefined;
  const credentials = { accessKeyId, secretAccessKey: new Secret(secretAccessKey) };
  if (sessionToken === undefined) return credentials;
  if (typeof sessionToken !== "string" || sessionToken === "") return undefined;
  return { ...credentials, sessionToken: new Secret(sessionToken) };
}

function notCredentials(path: string): EngineError {
  return new EngineError("config", `the credentials file "${path}" does not hold credentials`, {
    hint: 'Write it as JSON: {"accessKeyId": "…", "secretAccessKey": "…"}, with a "sessionToken" if there is one.',
  });
}
