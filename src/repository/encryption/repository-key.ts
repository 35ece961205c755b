import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from "node:crypto";
import { Secret } from "../../common/log.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";

/** What node:crypto wants in front of the 32 bytes of an X25519 key (RFC 8410), which `age` keeps bare. */
const privateKeyPrefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const publicKeyPrefix = Buffer.from("302a300506032b656e032100", "hex");
const identityPrefix = "age-secret-key-";
const recipientPrefix = "age";
const keyBytes = 32;
const tagBytes = 8;

/** One age identity of a repository: whoever has it can read every object that was encrypted to it. */
export interface RepositoryKey {
  /** `AGE-SECRET-KEY-1…`. */
  readonly identity: Secret;
  /** `age1…`: what objects are encrypted to. */
  readonly recipient: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The 32 bytes of the public key. */
  readonly publicBytes: Buffer;
  /** Names this key in the header of an object; 11 letters that say nothing of the secret. */
  readonly tag: string;
}

export function generateRepositoryKey(): RepositoryKey {
  return keyOfBytes(randomBytes(keyBytes));
}

/** Reads `AGE-SECRET-KEY-1…`; undefined for anything else. */
export function parseRepositoryKey(identity: string): RepositoryKey | undefined {
  const secret = decodeBech32(identityPrefix, identity);
  return secret?.length === keyBytes ? keyOfBytes(secret) : undefined;
}

/** The 32 bytes of the secret key: for deriving from, and for nothing that stays. */
export function secretBytes(key: RepositoryKey): Buffer {
  return key.privateKey.export({ type: "pkcs8", format: "der" }).subarray(-keyBytes);
}

/** A key pair for one object. */
export function generateEphemeralKey(): { readonly privateKey: KeyObject; readonly publicBytes: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  return { privateKey, publicBytes: bytesOf(publicKey) };
}

/** A public key from its 32 bytes. */
export function publicKeyFrom(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([publicKeyPrefix, bytes]), format: "der", type: "spki" });
}

function keyOfBytes(secret: Buffer): RepositoryKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([privateKeyPrefix, secret]),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = createPublicKey(privateKey);
  const publicBytes = bytesOf(publicKey);
  return {
    identity: new Secret(encodeBech32(identityPrefix, secret).toUpperCase()),
    recipient: encodeBech32(recipientPrefix, publicBytes),
    privateKey,
    publicKey,
    publicBytes,
    tag: unpaddedBase64(createHash("sha256").update(publicBytes).digest().subarray(0, tagBytes)),
  };
}

function bytesOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: "spki", format: "der" }).subarray(-keyBytes);
}

/** As `age` writes bytes in a header. */
export function unpaddedBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}
