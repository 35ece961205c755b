import type { ResourceStore } from "../resource-store.ts";
import { formatKey, keyOf } from "../resource.ts";
import { draft, key, ownedBy } from "./drafts.ts";

/**
 * Calls that a store is given one after the other, always the same: each is one transaction that changes something, and the
 * last of a round deletes five objects at once.
 */
const round: readonly ((store: ResourceStore, number: number) => unknown)[] = [
  (store, number) => store.create(draft("Cluster", `c-${number}`, { content: { spec: { number } } })),
  (store, number) =>
    store.create(draft("Secret", `s-${number}`, { content: { data: { number } }, ...owned(store, number) })),
  (store, number) => store.create(draft("Schedule", `n-${number}`, owned(store, number))),
  (store, number) => {
    const schedule = store.require(key("Schedule", `n-${number}`));
    return store.create(draft("Backup", `b-${number}`, ownedBy(schedule)));
  },
  (store, number) => store.setStatus(key("Backup", `b-${number}`), { phase: "completed", number }, {}),
  (store, number) =>
    store.update(
      draft("Secret", `s-${number}`, {
        content: { data: { number, rotated: true } },
        ...owned(store, number),
      }),
    ),
  (store, number) => store.create(draft("Event", `e-${number}`, owned(store, number))),
  (store, number) => store.delete(key("Cluster", `c-${number}`)),
];

function owned(store: ResourceStore, number: number) {
  return ownedBy(store.require(key("Cluster", `c-${number}`)));
}

/** Makes the call number `step`, from 0. */
export function applyStep(store: ResourceStore, step: number): void {
  round[step % round.length]?.(store, Math.floor(step / round.length));
}

/** Everything that a store holds, but for what differs between stores that were given the same calls. */
export function describeStore(store: ResourceStore): unknown {
  return store.list().map((resource) => {
    const { generation, resourceVersion, ownerReferences } = resource.metadata;
    const owners = ownerReferences.map(({ kind, name }) => `${kind} ${name}`);
    return [
      formatKey(keyOf(resource)),
      generation,
      resourceVersion,
      owners,
      resource.content,
      resource.status,
    ];
  });
}
