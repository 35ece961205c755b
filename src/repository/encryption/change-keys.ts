import { EngineError } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { describeRepository, type Repository } from "../repository.ts";
import { readKeysObject, readLockedKeys, writeKeysObject } from "./keys-object.ts";
import { isSecretIdentity, lockOf, secretGiven, type Lock } from "./lock-keys.ts";
import type { OperatorKey } from "./operator-key.ts";
import { generateRepositoryKey } from "./repository-key.ts";
import type { StoredKeys } from "./stored-keys.ts";

/** Changes to the one object with a repository's keys. What was encrypted stays as it is, and stays readable. */

/**
 * The keys of a repository that has some, with the recipients that they are locked for as far as that is known. Throws
 * `object-missing`, and as `unlockKeys`.
 */
export async function requireKeys(
  repository: Repository,
  operatorKey: OperatorKey,
  signal: AbortSignal,
): Promise<StoredKeys> {
  const keys = await readKeysObject(repository, operatorKey, signal);
  if (keys !== undefined) return { ...keys, recipients: await recipientsNow(keys, operatorKey) };
  throw new EngineError(
    "object-missing",
    `repository "${describeRepository(repository)}" has no keys: nothing of it is encrypted`,
    { hint: "A repository that holds nothing yet gets them with tidemark key init, or with its first WAL." },
  );
}

/**
 * Keys that were put back by hand say whom they were locked for at another time, and do not say who did so. To lock them for
 * those again would shut out the one who has just opened them.
 */
async function recipientsNow(
  { recipients }: StoredKeys,
  operatorKey: OperatorKey,
): Promise<readonly string[]> {
  const own = await lockOf(operatorKey);
  if (own.kind === "passphrase") return [];
  return own.recipients.some((recipient) => recipients.includes(recipient)) ? recipients : own.recipients;
}

/**
 * Writes changed keys. Stopped at any moment it leaves the keys as they were, or as they are to be.
 *
 * @throws EngineError `locked` when somebody else changed them at the same time, so that one of the changes is lost.
 */
export async function replaceKeys(
  repository: Repository,
  keys: StoredKeys,
  lock: Lock,
  signal: AbortSignal,
): Promise<void> {
  faultPoint("keys:before-write");
  const written = await writeKeysObject(repository, keys, lock, { ifAbsent: false, signal });
  faultPoint("keys:after-write");
  const stored = await readLockedKeys(repository, signal);
  if (stored?.equals(written) === true) return;
  throw new EngineError(
    "locked",
    `the keys of repository "${describeRepository(repository)}" were changed by somebody else at the same time`,
    { hint: "Look at them with tidemark key list, and run the same command again if something is missing." },
  );
}

/** The keys with a new one at the end, to which new objects are encrypted from now on. */
export function withNewKey(keys: StoredKeys, createdAt: Date): StoredKeys {
  return { ...keys, keys: [...keys.keys, { key: generateRepositoryKey(), createdAt }] };
}

/** The recipients with these among them. Throws `usage` where a passphrase is what opens the keys. */
export function withRecipients(
  repository: Repository,
  { recipients }: StoredKeys,
  added: readonly string[],
): Lock {
  requireRecipients(repository, recipients);
  return { kind: "recipients", recipients: [...new Set([...recipients, ...added])] };
}

/** The recipients without these. Throws `usage` for one that is not there, and when nobody would be left. */
export function withoutRecipients(
  repository: Repository,
  { recipients }: StoredKeys,
  removed: readonly string[],
): Lock {
  requireRecipients(repository, recipients);
  if (removed.some(isSecretIdentity)) throw secretGiven();
  const stranger = removed.find((recipient) => !recipients.includes(recipient));
  if (stranger !== undefined) {
    throw new EngineError(
      "usage",
      `"${stranger}" is not a recipient of repository "${describeRepository(repository)}"`,
      { hint: `Its recipients are ${recipients.join(", ")}.` },
    );
  }
  const left = recipients.filter((recipient) => !removed.includes(recipient));
  if (left.length > 0) return { kind: "recipients", recipients: left };
  throw new EngineError(
    "usage",
    `repository "${describeRepository(repository)}" would have no recipient left, and nobody could read it any more`,
    { hint: "Add the new recipient first, or replace all of them with tidemark key rotate." },
  );
}

/** What opens the keys now, to write them again for the same. */
export function sameLock({ recipients }: StoredKeys, operatorKey: OperatorKey): Lock {
  return operatorKey.kind === "passphrase"
    ? { kind: "passphrase", passphrase: operatorKey.passphrase }
    : { kind: "recipients", recipients };
}

function requireRecipients(repository: Repository, recipients: readonly string[]): void {
  if (recipients.length > 0) return;
  throw new EngineError(
    "usage",
    `the keys of repository "${describeRepository(repository)}" are locked with a passphrase, which knows no recipients`,
    { hint: "Lock them for recipients with tidemark key rotate --recipient." },
  );
}
