/** S3 credentials, and the file of our own that they may be in. */
import { systemClock, type Clock } from "../../common/clock.ts";
import { Secret } from "../../common/log.ts";
import { CredentialsFile, parseJsonObject, type CredentialsFormat } from "../credentials-file.ts";

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

/** The credentials of one file, read again when it has changed. */
export class S3CredentialsFile {
  readonly #file: CredentialsFile<S3Credentials>;
  readonly #clock: Clock;

  private constructor(file: CredentialsFile<S3Credentials>, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  /** Reads the file. @throws EngineError `config`, as `CredentialsFile`. */
  static async open(path: string, clock: Clock = systemClock): Promise<S3CredentialsFile> {
    return new S3CredentialsFile(await CredentialsFile.open(path, format, clock), clock);
  }

  /**
   * A credentials provider for the SDK. The SDK keeps what it was given until five minutes before `expiration`
   * (`memoizeIdentityProvider`), so it is given a moment that has come: then it asks before every request, and this
   * answers from memory.
   *
   * @throws EngineError `config` when the file has become unusable; with one that is just being written it goes on as before.
   */
  async identity(): Promise<S3Identity> {
    return { ...identityOf(await this.#file.current()), expiration: this.#clock.now() };
  }
}

const format: CredentialsFormat<S3Credentials> = {
  parse: parseCredentials,
  hint: 'Write it as JSON: {"accessKeyId": "…", "secretAccessKey": "…"}, with a "sessionToken" if there is one.',
};

function parseCredentials(text: string): S3Credentials | undefined {
  const { accessKeyId, secretAccessKey, sessionToken } = parseJsonObject(text) ?? {};
  if (typeof accessKeyId !== "string" || accessKeyId === "") return undefined;
  if (typeof secretAccessKey !== "string" || secretAccessKey === "") return undefined;
  const credentials = { accessKeyId, secretAccessKey: new Secret(secretAccessKey) };
  if (sessionToken === undefined) return credentials;
  if (typeof sessionToken !== "string" || sessionToken === "") return undefined;
  return { ...credentials, sessionToken: new Secret(sessionToken) };
}
