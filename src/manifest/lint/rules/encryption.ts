import { encryptionKeyOf, encryptionSecretAnnotation } from "../../encryption-secret.ts";
import { encryptionReference, keysOf } from "../object-references.ts";
import type { Rule } from "../rule.ts";
import { namespaceOf, textAt } from "../world.ts";

/** Stores that Tidemark encrypts. */

const path = ["metadata", "annotations", encryptionSecretAnnotation];

const encryptionSecret: Rule = {
  id: "encryption-secret",
  severity: "error",
  summary: "an encrypted store whose Secret has no key for it, or an annotation in the wrong place",
  explanation:
    "With the annotation `tidemark.dev/encryption-secret: NAME` on an ObjectStore everything is encrypted before it leaves this machine. The Secret must have one of the keys `identity` (what age-keygen writes) and `passphrase`; with both, nobody knows which is meant. The annotation belongs to the ObjectStore: on a Cluster or Server it does nothing, and what they write would be plain. CloudNativePG passes over it and writes plain objects, so an encrypted store is for Tidemark alone.",
  *check(world) {
    for (const store of world.stores) {
      for (const { name } of encryptionReference(store)) {
        const secret = world.find("Secret", namespaceOf(store), name);
        if (secret === undefined || encryptionKeyOf(keysOf(secret)) !== undefined) continue;
        const has = keysOf(secret).join(", ") || "none";
        yield {
          object: store,
          path,
          message: `Secret "${name}" must have one of the keys "identity" and "passphrase", and has ${has}`,
        };
      }
    }
    for (const object of world.writers) {
      if (textAt(object, ...path) === undefined) continue;
      yield {
        object,
        path,
        message: `the annotation does nothing on a ${object.kind}: what it writes is not encrypted`,
        hint: "Write it on the ObjectStore.",
      };
    }
  },
};

export const encryptionRules: readonly Rule[] = [encryptionSecret];
