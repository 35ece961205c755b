import { createCipheriv, createDecipheriv } from "node:crypto";
import { corruptData } from "../../codec/corrupt.ts";
import { kib } from "../../common/units.ts";
import { cipherName, tagBytes } from "./file-key.ts";
import { prefixBytes } from "./object-header.ts";

/**
 * The content of an age file: chunks of 64 KiB, each encrypted and authenticated on its own. The nonce is the number of
 * the chunk and whether it is the last one, so a chunk that is flipped, moved, left out or added does not decrypt.
 */
export const chunkBytes = 64 * kib;
export const sealedChunkBytes = chunkBytes + tagBytes;

/** How many chunks there are: an empty content has one, which is empty. */
export function chunkCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / chunkBytes));
}

/** Size of the content from the size of the object, or undefined when no content gives an object of this size. */
export function plainBytesOf(storedBytes: number): number | undefined {
  const sealed = storedBytes - prefixBytes;
  if (sealed < tagBytes) return undefined;
  const plain = sealed - Math.ceil(sealed / sealedChunkBytes) * tagBytes;
  return plain >= 0 && storedBytesOf(plain) === storedBytes ? plain : undefined;
}

/** Size of the object for a content of this size. */
export function storedBytesOf(plainBytes: number): number {
  return prefixBytes + plainBytes + chunkCount(plainBytes) * tagBytes;
}

/** Where in the object a chunk begins. */
export function positionOfChunk(index: number): number {
  return prefixBytes + index * sealedChunkBytes;
}

/** Encrypts a chunk that is given in pieces, and gives it in pieces; the same bytes give the same result. */
export function sealChunk(
  payloadKey: Uint8Array,
  chunk: { readonly index: number; readonly isLast: boolean },
  pieces: readonly Uint8Array[],
): Buffer[] {
  const cipher = createCipheriv(cipherName, payloadKey, nonceOf(chunk), { authTagLength: tagBytes });
  const sealed = pieces.map((piece) => cipher.update(piece));
  cipher.final();
  return [...sealed, cipher.getAuthTag()];
}

/** Decrypts a chunk. Throws `object-corrupt` unless it is, byte for byte, the one that was written in this place. */
export function openChunk(
  payloadKey: Uint8Array,
  chunk: { readonly index: number; readonly isLast: boolean },
  sealed: Uint8Array,
): Buffer {
  const decipher = createDecipheriv(cipherName, payloadKey, nonceOf(chunk), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const opened = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    decipher.final();
  } catch (cause) {
    throw corruptData("encrypted", `chunk ${chunk.index} is not the one that was written`, cause);
  }
  return opened;
}

/** 11 bytes of counter, big-endian, and a byte that says whether it is the last one. */
function nonceOf({ index, isLast }: { readonly index: number; readonly isLast: boolean }): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}
