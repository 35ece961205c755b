import type { ArchiveTarget } from "../archive/archive-target.ts";
import { repositoryAddress } from "../repository/repository.ts";
import type { Ack } from "./ack.ts";
import { isPolicyMet, type ArchivePolicy } from "./archive-policy.ts";
import type { OwedBook } from "./owed-book.ts";

/** For `Ack.repositories`. */
export function addressesOf(targets: readonly ArchiveTarget[]): Record<string, string> {
  return Object.fromEntries(
    targets.map(({ repository }) => [repository.name, repositoryAddress(repository)]),
  );
}

/**
 * Whether an acknowledgement of an earlier agent is one that this one would have given: who has the file meets the policy,
 * and whoever is without it is owed it. A repository that was added, or moved, has nothing of what was acknowledged before.
 */
export async function isEnough(
  ack: Ack,
  today: {
    readonly targets: readonly ArchiveTarget[];
    readonly policy: ArchivePolicy;
    readonly owed: OwedBook;
  },
): Promise<boolean> {
  const addresses = addressesOf(today.targets);
  const names = Object.keys(addresses);
  const done = new Set(names.filter((name) => ack.repositories[name] === addresses[name]));
  if (!isPolicyMet(today.policy, names, done)) return false;
  // What cannot be told counts as no: then the file is compared once more.
  const owed = await today.owed.of(ack.name).catch(() => undefined);
  return names.every((name) => done.has(name) || owed?.repositories.includes(name) === true);
}
