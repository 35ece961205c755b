import type { S3Profile } from "./s3-profile.ts";

/** What is asked of a store for its objects, all keys together. */
export interface S3Wishes {
  readonly objectTags: boolean;
  readonly encryption: readonly ("AES256" | "aws:kms")[];
  readonly kmsKeyId: string | undefined;
  readonly storageClasses: readonly string[];
}

/** A wish that cannot be fulfilled: the fact, and what to do. */
export interface RefusedWish {
  readonly problem: string;
  /** A full sentence. */
  readonly hint: string;
}

/** Objects of these must be asked back for hours before they can be read: no restore, and no archive, works on them. */
const unreadableClasses = new Set(["GLACIER", "DEEP_ARCHIVE"]);

/** What of the wishes this kind of store does not do, or nobody can do. Pure. */
export function refusedWishes(profile: S3Profile, wishes: S3Wishes): readonly RefusedWish[] {
  return [
    ...refusedTags(profile, wishes),
    ...refusedEncryption(profile, wishes),
    ...refusedClasses(profile, wishes),
  ];
}

function* refusedTags({ title, objectTags }: S3Profile, wishes: S3Wishes): Generator<RefusedWish> {
  if (objectTags || !wishes.objectTags) return;
  yield {
    problem: `objects get tags, and ${title} has none: it refuses every write with them`,
    hint: "Leave the tags out for this store.",
  };
}

function* refusedEncryption({ title, kms, encryption }: S3Profile, wishes: S3Wishes): Generator<RefusedWish> {
  const wantsKms = wishes.encryption.includes("aws:kms");
  if (wishes.kmsKeyId !== undefined && !wantsKms) {
    yield {
      problem: "a KMS key is named, and nothing is encrypted with aws:kms",
      hint: "Set serverSideEncryption to aws:kms, or leave kmsKeyId out.",
    };
  }
  if (kms || !wantsKms) return;
  yield {
    problem: `encryption with aws:kms is asked for, and ${title} does not take it by request`,
    hint:
      encryption === "always"
        ? "It encrypts everything by itself: leave serverSideEncryption out."
        : "Use AES256, or encryption by Tidemark itself.",
  };
}

function* refusedClasses(
  { title, storageClasses: known }: S3Profile,
  wishes: S3Wishes,
): Generator<RefusedWish> {
  for (const wanted of new Set(wishes.storageClasses)) {
    if (unreadableClasses.has(wanted)) {
      yield {
        problem: `storage class "${wanted}" cannot be read at once: its objects must be asked back first, for hours`,
        hint: "A restore could not begin, and WAL could not be compared. GLACIER_IR is read at once, where the store has it.",
      };
    } else if (known !== undefined && !known.includes(wanted)) {
      yield {
        problem: `storage class "${wanted}" is none of ${title}`,
        hint: `It has ${known.join(", ")}.`,
      };
    }
  }
}
