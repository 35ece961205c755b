import { signalOption } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { mib } from "../../common/units.ts";
import { readObject } from "../../storage/object-body.ts";
import { encryptionKeysKey } from "../keys.ts";
import { describeRepository, type Repository } from "../repository.ts";
import { lockKeys, unlockKeys, type Lock } from "./lock-keys.ts";
import type { OperatorKey } from "./operator-key.ts";
import { plainKey } from "./sealed-names.ts";
import { formatStoredKeys, parseStoredKeys, type StoredKeys } from "./stored-keys.ts";

/** The object with the keys of an encrypted repository. Repositories are given here with their store as it is below. */

const limitBytes = mib;

/** The object as it is stored, or undefined when there is none. */
export async function readLockedKeys(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Buffer | undefined> {
  return readObject(repository.store, encryptionKeysKey(repository.server), limitBytes, signalOption(signal));
}

/** The keys, or undefined when there are none. Throws as `unlockKeys`. */
export async function readKeysObject(
  repository: Repository,
  operatorKey: OperatorKey,
  signal: AbortSignal | undefined,
): Promise<StoredKeys | undefined> {
  const locked = await readLockedKeys(repository, signal);
  if (locked === undefined) return undefined;
  const name = `"${repository.store.url}/${encryptionKeysKey(repository.server)}"`;
  return parseStoredKeys(await unlockKeys(locked, operatorKey, name));
}

/**
 * Writes the keys: one object, the old one or the new one whenever this is stopped. Gives what was written. With
 * `ifAbsent` it throws `object-exists` when somebody was first.
 */
export async function writeKeysObject(
  repository: Repository,
  keys: StoredKeys,
  lock: Lock,
  options: { readonly ifAbsent: boolean; readonly signal: AbortSignal | undefined },
): Promise<Buffer> {
  const recipients = lock.kind === "recipients" ? lock.recipients : [];
  const locked = await lockKeys(formatStoredKeys({ ...keys, recipients }), lock);
  await repository.store.put(encryptionKeysKey(repository.server), [locked], {
    ifAbsent: options.ifAbsent,
    ...signalOption(options.signal),
  });
  return locked;
}

/** Throws unless a repository without keys is empty: it is encrypted from its beginning, or not at all. */
export async function requireNothingStored(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const entry of repository.store.list(`${repository.server}/`, signalOption(signal))) {
    const key = entry.kind === "object" ? entry.key : entry.prefix;
    const where = describeRepository(repository);
    if (plainKey(key) !== undefined) {
      throw new EngineError(
        "encryption-key",
        `repository "${where}" holds encrypted objects ("${key}"), and the object with its keys is gone`,
        {
          hint: `Put "${encryptionKeysKey(repository.server)}" back: what tidemark key export saved, encrypted with age to your recipient.`,
        },
      );
    }
    throw new EngineError(
      "config",
      `repository "${where}" shall be encrypted, but holds objects that are not ("${key}")`,
      {
        hint: "A repository is encrypted from its beginning. Give the encrypted one a place of its own, and copy what is here into it with tidemark copy.",
      },
    );
  }
}

/** Whether a repository was begun without encryption. One that is empty was not begun. */
export async function holdsPlainObjects(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if ((await readLockedKeys(repository, signal)) !== undefined) return false;
  for await (const entry of repository.store.list(`${repository.server}/`, signalOption(signal))) {
    return entry.kind !== "object" || plainKey(entry.key) === undefined;
  }
  return false;
}
