import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { corruptData } from "../../codec/corrupt.ts";
import type { KeyRing } from "./key-ring.ts";
import {
  deriveKey,
  fileKeyBytes,
  headerMac,
  unwrapFileKey,
  wrapFileKey,
  x25519WrappingKey,
} from "./file-key.ts";
import {
  generateEphemeralKey,
  publicKeyFrom,
  secretBytes,
  unpaddedBase64,
  type RepositoryKey,
} from "./repository-key.ts";

/**
 * The header of an encrypted object: an age v1 header with one X25519 stanza, which `age` opens, and one of ours, which it
 * passes over. Ours binds the object to its key in the repository: a MAC that only someone with the repository's identity
 * can make. The recipient is enough to encrypt, so without it anybody who may write into the store could put an object
 * of his own, or another object, under a name.
 *
 * Every header has the same length, so that the size of what is encrypted follows from the size of the object.
 */

const binding = "tidemark.dev/object-key";
const nonceBytes = 16;

const pattern = new RegExp(
  `^(age-encryption\\.org/v1
-> X25519 ([A-Za-z0-9+/]{43})
([A-Za-z0-9+/]{43})
-> ${binding.replaceAll(".", "\\.")} ([A-Za-z0-9+/]{11})
([A-Za-z0-9+/]{43})
---) ([A-Za-z0-9+/]{43})
$`,
);

/** Length of everything in front of the encrypted content: the header, and the nonce that follows it. */
export const prefixBytes =
  "age-encryption.org/v1\n".length +
  `-> X25519 \n${"x".repeat(86)}\n`.length +
  `-> ${binding} \n${"x".repeat(54)}\n`.length +
  `--- ${"x".repeat(43)}\n`.length +
  nonceBytes;

/** What stands in front of an object's content, and the key of the content. */
export interface ObjectPrefix {
  readonly bytes: Buffer;
  readonly payloadKey: Buffer;
}

/** A header for a new object under this key (relative to the repository). */
export function createObjectPrefix(key: RepositoryKey, objectKey: string): ObjectPrefix {
  const fileKey = randomBytes(fileKeyBytes);
  const { privateKey, publicBytes: share } = generateEphemeralKey();
  const wrappingKey = x25519WrappingKey({
    privateKey,
    publicKey: key.publicKey,
    share,
    recipient: key.publicBytes,
  });
  const header = `age-encryption.org/v1
-> X25519 ${unpaddedBase64(share)}
${unpaddedBase64(wrapFileKey(fileKey, wrappingKey))}
-> ${binding} ${key.tag}
${unpaddedBase64(bindingMac(key, fileKey, objectKey))}
---`;
  const mac = unpaddedBase64(headerMac(fileKey, header));
  const nonce = randomBytes(nonceBytes);
  return {
    bytes: Buffer.concat([Buffer.from(`${header} ${mac}\n`), nonce]),
    payloadKey: payloadKey(fileKey, nonce),
  };
}

export type ReadPrefix =
  | { readonly kind: "ok"; readonly payloadKey: Buffer }
  /** It was encrypted to an identity that is not in the ring. */
  | { readonly kind: "unknown-key" };

/**
 * Reads the first `prefixBytes` of an object. @throws EngineError `object-corrupt` for anything that was not written by
 * us under exactly this key: without the key, it does not know which object it reads, so the caller names it.
 */
export function readObjectPrefix(bytes: Buffer, ring: KeyRing, objectKey: string): ReadPrefix {
  const text = bytes.subarray(0, prefixBytes - nonceBytes).toString("latin1");
  const [, header = "", share, wrapped, tag = "", binding, mac] = pattern.exec(text) ?? [];
  if (bytes.length !== prefixBytes || share === undefined || wrapped === undefined) {
    throw corruptData("encrypted", "its header is not one that Tidemark writes");
  }
  const key = ring.named(tag);
  if (key === undefined) return { kind: "unknown-key" };
  const fileKey = openFileKey(key, Buffer.from(share, "base64"), Buffer.from(wrapped, "base64"));
  if (fileKey === undefined || !sameBytes(mac, headerMac(fileKey, header))) {
    throw corruptData("encrypted", "its header was changed");
  }
  if (!sameBytes(binding, bindingMac(key, fileKey, objectKey))) {
    throw corruptData("encrypted", "it was not written under this name by anybody who has the key");
  }
  return { kind: "ok", payloadKey: payloadKey(fileKey, bytes.subarray(-nonceBytes)) };
}

function openFileKey(key: RepositoryKey, share: Buffer, wrapped: Buffer): Buffer | undefined {
  try {
    const { privateKey, publicBytes: recipient } = key;
    const wrappingKey = x25519WrappingKey({ privateKey, publicKey: publicKeyFrom(share), share, recipient });
    return unwrapFileKey(wrapped, wrappingKey);
  } catch {
    // A share that is no point of the curve to reckon with: OpenSSL refuses it.
    return undefined;
  }
}

function bindingMac(key: RepositoryKey, fileKey: Uint8Array, objectKey: string): Buffer {
  const macKey = deriveKey(Buffer.concat([secretBytes(key), fileKey]), "", binding);
  return createHmac("sha256", macKey).update(objectKey, "utf8").digest();
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return deriveKey(fileKey, nonce, "payload");
}

function sameBytes(written: string | undefined, calculated: Buffer): boolean {
  const bytes = Buffer.from(written ?? "", "base64");
  // The last letter of an encoding has bits to spare: only the one that we write counts.
  return (
    bytes.length === calculated.length &&
    timingSafeEqual(bytes, calculated) &&
    unpaddedBase64(bytes) === written
  );
}
