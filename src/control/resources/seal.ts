import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from "node:crypto";

const algorithm = "aes-256-gcm";
/** As GCM wants it; random, which is safe for some 2^32 texts with one key (NIST SP 800-38D, section 8.3). */
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Encrypts a text so that it can only be opened with the same key for the same `subject`: what belongs to one object cannot
 * be put in the place of another's. Gives nonce, tag, and the encrypted bytes.
 */
export function seal(text: string, subject: string, key: KeyObject): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(subject));
  const encrypted = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]);
}

/** The text again. Throws for another key or subject, and when a bit has changed. */
export function unseal(sealed: Uint8Array, subject: string, key: KeyObject): string {
  const nonce = sealed.subarray(0, nonceBytes);
  const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes);
  const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(subject));
  decipher.setAuthTag(tag);
  const text = Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]);
  return text.toString("utf8");
}
