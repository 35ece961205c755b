import { assert } from "../../common/errors.ts";
import type { RepositoryKey } from "./repository-key.ts";

/** The keys of a repository: the newest encrypts, each can read what was encrypted to it. */
export interface KeyRing {
  /** Oldest first; at least one. */
  readonly keys: readonly RepositoryKey[];
  readonly newest: RepositoryKey;
  /** The key that an object's header names, or undefined when the ring does not have it. */
  named(tag: string): RepositoryKey | undefined;
}

export function keyRing(keys: readonly RepositoryKey[]): KeyRing {
  const newest = keys.at(-1);
  assert(newest !== undefined, "a key ring has a key");
  const byTag = new Map(keys.map((key) => [key.tag, key]));
  return { keys, newest, named: (tag) => byTag.get(tag) };
}
