import { createCipheriv, createDecipheriv, createHmac, diffieHellman, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** The small calculations of an age v1 file (https://age-encryption.org/v1), on bytes that are at hand. */

export const cipherName = "chacha20-poly1305";
export const tagBytes = 16;
export const fileKeyBytes = 16;
const zeroNonce = Buffer.alloc(12);

/** HKDF with SHA-256; 32 bytes. */
export function deriveKey(secret: Uint8Array, salt: Uint8Array | string, label: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, label, 32));
}

/** A file key for one recipient: 32 bytes. A wrapping key is used once, so its nonce may be zero. */
export function wrapFileKey(fileKey: Uint8Array, wrappingKey: Uint8Array): Buffer {
  const cipher = createCipheriv(cipherName, wrappingKey, zeroNonce, { authTagLength: tagBytes });
  return Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
}

/** The file key in what `wrapFileKey` gave, or undefined when it was wrapped with another key. */
export function unwrapFileKey(wrapped: Uint8Array, wrappingKey: Uint8Array): Buffer | undefined {
  if (wrapped.length !== fileKeyBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(cipherName, wrappingKey, zeroNonce, { authTagLength: tagBytes });
  decipher.setAuthTag(wrapped.subarray(fileKeyBytes));
  const fileKey = decipher.update(wrapped.subarray(0, fileKeyBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return fileKey;
}

/** What an X25519 stanza's file key is wrapped with: both sides come to the same. */
export function x25519WrappingKey(keys: {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The ephemeral public key. */
  readonly share: Uint8Array;
  /** The recipient's public key. */
  readonly recipient: Uint8Array;
}): Buffer {
  const secret = diffieHellman({ privateKey: keys.privateKey, publicKey: keys.publicKey });
  return deriveKey(secret, Buffer.concat([keys.share, keys.recipient]), "age-encryption.org/v1/X25519");
}

/** What the last line of a header says: that nobody without the file key has changed the others. */
export function headerMac(fileKey: Uint8Array, header: string): Buffer {
  return createHmac("sha256", deriveKey(fileKey, "", "header"))
    .update(header)
    .digest();
}
