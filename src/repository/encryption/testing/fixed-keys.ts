import { keyRing, type KeyRing } from "../key-ring.ts";
import { generateRepositoryKey } from "../repository-key.ts";
import type { KeySource } from "../with-encryption.ts";

/** Keys that are there, and stay what they are. */
export function fixedKeys(ring: KeyRing = keyRing([generateRepositoryKey()])): KeySource & {
  readonly ring: KeyRing;
} {
  return {
    ring,
    forReading: async () => ring,
    forWriting: async () => ring,
    again: async () => ring,
  };
}
