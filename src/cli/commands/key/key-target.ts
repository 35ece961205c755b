import { readFile } from "node:fs/promises";
import { EngineError, fileError } from "../../../common/errors.ts";
import {
  readOperatorKey,
  readPassphrase,
  type OperatorKey,
} from "../../../repository/encryption/operator-key.ts";
import type { Lock } from "../../../repository/encryption/lock-keys.ts";
import { nameRepositories, type StoreAccess } from "../../../repository/open-repositories.ts";
import type { EncryptionSettings } from "../../../repository/repository-settings.ts";
import type { Repository } from "../../../repository/repository.ts";
import { openBareContext } from "../../context.ts";
import type { RepositoryOptions } from "../../options.ts";

export interface KeyOptions extends RepositoryOptions {
  readonly repository?: string;
}

/** Options that say whom the keys shall be locked for. */
export interface LockOptions {
  readonly recipient?: readonly string[];
  readonly recipientsFile?: string;
  readonly newPassphraseFile?: string;
}

/** A repository with its keys to look at or to change; its store is as it is below the encryption. */
export interface KeyTarget extends AsyncDisposable {
  readonly repository: Repository;
  readonly encryption: EncryptionSettings | undefined;
  /** Reads the operator's key. Throws `config`, also when the settings name none. */
  operatorKey(): Promise<OperatorKey>;
}

/** The one repository that is meant. Throws `usage` when that is not clear. */
export async function openKeyTarget(
  options: KeyOptions,
  signal: AbortSignal,
  access: StoreAccess = { kind: "read" },
): Promise<KeyTarget> {
  const context = await openBareContext({ logLevel: "warn", ...options }, signal, access);
  try {
    const name = chooseRepository(context.repositories, options.repository);
    const repository = context.repositories.find((candidate) => candidate.name === name);
    const settings = nameRepositories(context.config.repositories ?? []).find((entry) => entry.name === name);
    if (repository === undefined) throw unknownRepository(name, context.repositories);
    const encryption = settings?.encryption;
    return {
      repository,
      encryption,
      operatorKey: async () => {
        if (encryption !== undefined) return readOperatorKey(encryption);
        throw new EngineError("config", `no key is configured for repository "${name}"`, {
          hint: "Name it with --identity-file or --passphrase-file, or with encryption in the repository's settings.",
        });
      },
      [Symbol.asyncDispose]: async () => context[Symbol.asyncDispose](),
    };
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}

function chooseRepository(repositories: readonly Repository[], wanted: string | undefined): string {
  if (wanted !== undefined) return wanted;
  const [only, ...others] = repositories;
  if (only !== undefined && others.length === 0) return only.name;
  throw new EngineError("usage", `there are ${repositories.length} repositories, each with its own keys`, {
    hint: `Name one with --repository: ${repositories.map(({ name }) => name).join(", ")}.`,
  });
}

function unknownRepository(name: string, repositories: readonly Repository[]): EngineError {
  return new EngineError("usage", `there is no repository "${name}"`, {
    hint: `There are ${repositories.map((repository) => repository.name).join(", ")}.`,
  });
}

/** The recipients that were named by flags and in a file. Throws `usage` and `file-io`. */
export async function namedRecipients({
  recipient = [],
  recipientsFile,
}: LockOptions): Promise<readonly string[]> {
  if (recipientsFile === undefined) return recipient;
  const text = await readFile(recipientsFile, "utf8").catch((cause: unknown) => {
    throw fileError("read", recipientsFile, cause);
  });
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return [...recipient, ...lines.filter((line) => line !== "" && !line.startsWith("#"))];
}

/** Whom the options want the keys to be locked for; undefined when they say nothing. Throws `usage` for both at once. */
export async function wantedLock(options: LockOptions): Promise<Lock | undefined> {
  const recipients = await namedRecipients(options);
  const { newPassphraseFile } = options;
  if (newPassphraseFile === undefined) {
    return recipients.length === 0 ? undefined : { kind: "recipients", recipients };
  }
  if (recipients.length === 0) {
    return { kind: "passphrase", passphrase: await readPassphrase(newPassphraseFile) };
  }
  throw new EngineError("usage", "recipients and a passphrase are given, and age takes one or the other", {
    hint: "A passphrase can be replaced by an identity of its own: encrypt that with age -p.",
  });
}
