/**
 * How an ObjectStore says that Tidemark encrypts what goes into it: an annotation, since CloudNativePG's plugin knows
 * nothing of it and refuses unknown fields, with the name of a Secret in its namespace.
 */
export const encryptionSecretAnnotation = "tidemark.dev/encryption-secret";

/** Keys of that Secret: an age identity file, or a passphrase. */
const keyNames = ["identity", "passphrase"] as const;

export type EncryptionKeyName = (typeof keyNames)[number];

/** Which of them a Secret with these keys has; undefined for none, and for both: then nobody knows which is meant. */
export function encryptionKeyOf(keys: readonly string[]): EncryptionKeyName | undefined {
  const [only, ...more] = keyNames.filter((name) => keys.includes(name));
  return more.length === 0 ? only : undefined;
}
