import { describeError, EngineError } from "../../common/errors.ts";
import type { Secret } from "../../common/log.ts";
import type { OperatorKey } from "./operator-key.ts";

/** Whom the object with the keys is locked for. */
export type Lock =
  | { readonly kind: "recipients"; readonly recipients: readonly string[] }
  | { readonly kind: "passphrase"; readonly passphrase: Secret };

/** Encrypts the text of the keys: a whole age file. Throws `usage` for a recipient that cannot be encrypted to. */
export async function lockKeys(text: string, lock: Lock): Promise<Buffer> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  if (lock.kind === "passphrase") {
    const { passphraseRecipient } = await import("./passphrase-lock.ts");
    encrypter.addRecipient(passphraseRecipient(lock.passphrase));
  } else {
    for (const recipient of lock.recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (cause) {
        throw badRecipient(recipient, cause);
      }
    }
  }
  return Buffer.from(await encrypter.encrypt(text));
}

/** What the keys are locked for when nothing else is said: whoever has the operator's key. */
export async function lockOf(key: OperatorKey): Promise<Lock> {
  if (key.kind === "passphrase") return { kind: "passphrase", passphrase: key.passphrase };
  const { identityToRecipient } = await import("age-encryption");
  const recipients = key.identities.map(async (identity) => {
    try {
      return await identityToRecipient(identity.reveal());
    } catch {
      // What the package says might show a part of it.
      throw damagedIdentity(key.path);
    }
  });
  return { kind: "recipients", recipients: await Promise.all(recipients) };
}

/**
 * Decrypts the object with the keys; `name` is what messages call it.
 *
 * @throws EngineError `encryption-key` when the operator's key does not open it, `object-corrupt` when it is damaged.
 */
export async function unlockKeys(locked: Uint8Array, key: OperatorKey, name: string): Promise<string> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  if (key.kind === "passphrase") {
    const { passphraseIdentity } = await import("./passphrase-lock.ts");
    decrypter.addIdentity(passphraseIdentity(key.passphrase));
  } else {
    for (const identity of key.identities) {
      try {
        decrypter.addIdentity(identity.reveal());
      } catch {
        throw damagedIdentity(key.path);
      }
    }
  }
  try {
    return await decrypter.decrypt(locked, "text");
  } catch (cause) {
    const reason = describeError(cause);
    if (reason.startsWith("no identity matched")) throw wrongKey(locked, key, name);
    throw new EngineError("object-corrupt", `could not read ${name}: ${reason}`, {
      cause,
      hint: `Put a good copy in its place: ${exported(key)}. Each repository has keys of its own.`,
    });
  }
}

/** What puts the object right. */
function exported({ kind }: OperatorKey): string {
  const how = kind === "passphrase" ? "with age -p and the passphrase" : "with age to your recipient";
  return `what tidemark key export saved, encrypted ${how}`;
}

function wrongKey(locked: Uint8Array, key: OperatorKey, name: string): EngineError {
  const needsPassphrase = Buffer.from(locked).includes("\n-> scrypt ");
  const fact =
    key.kind === "passphrase"
      ? needsPassphrase
        ? `the passphrase in "${key.path}" is not the one that opens ${name}`
        : `${name} is locked for identities, and "${key.path}" is a passphrase`
      : needsPassphrase
        ? `${name} is locked with a passphrase, and "${key.path}" is an identity`
        : `no identity in "${key.path}" opens ${name}`;
  return new EngineError("encryption-key", fact, {
    hint: `Name the key that the repository was set up with, or was given by tidemark key rotate, in its settings (encryption). If it is that one, the object is damaged: put back ${exported(key)}.`,
  });
}

function damagedIdentity(path: string): EngineError {
  return new EngineError("config", `the identity file "${path}" holds an identity that is not valid`, {
    hint: "Compare it with another copy: one letter of it may be wrong.",
  });
}

function badRecipient(recipient: string, cause: unknown): EngineError {
  if (isSecretIdentity(recipient)) return secretGiven();
  return new EngineError("usage", `"${recipient}" is not a recipient that can be encrypted to`, {
    cause,
    hint: "A recipient is what age-keygen calls the public key; it begins with age1.",
  });
}

export function isSecretIdentity(text: string): boolean {
  return /^AGE-SECRET-KEY-/i.test(text);
}

/** What is wrong with a secret in the place of a recipient, without showing it. */
export function secretGiven(): EngineError {
  return new EngineError("usage", "a secret identity was given where a recipient is wanted", {
    hint: "Take a new one: it may stand in the shell's history now. The recipient is what age-keygen calls the public key.",
  });
}
