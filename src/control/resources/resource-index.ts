import type { ListFilter, ResourceChange } from "./resource-store.ts";
import { keyId, keyOf, type Resource, type ResourceKey } from "./resource.ts";

/**
 * All objects in memory. One process owns the database, so this is what it holds, and readings cost no query: reconcilers
 * read again and again.
 */
export class ResourceIndex {
  readonly #byKey = new Map<string, Resource>();
  readonly #uids = new Set<string>();

  constructor(resources: Iterable<Resource>) {
    for (const resource of resources) this.#put(resource);
  }

  get(key: ResourceKey): Resource | undefined {
    return this.#byKey.get(keyId(key));
  }

  hasUid(uid: string): boolean {
    return this.#uids.has(uid);
  }

  /** In no particular order. */
  all(): Iterable<Resource> {
    return this.#byKey.values();
  }

  /** Sorted by namespace, name and kind. */
  list(filter: ListFilter): Resource[] {
    return [...this.#byKey.values()]
      .filter((resource) => matches(resource, filter))
      .sort((a, b) => compareNames(a, b));
  }

  apply({ type, resource }: ResourceChange): void {
    if (type === "deleted") {
      this.#byKey.delete(keyId(keyOf(resource)));
      this.#uids.delete(resource.metadata.uid);
    } else {
      this.#put(resource);
    }
  }

  #put(resource: Resource): void {
    this.#byKey.set(keyId(keyOf(resource)), resource);
    this.#uids.add(resource.metadata.uid);
  }
}

function matches({ kind, metadata }: Resource, filter: ListFilter): boolean {
  return (
    (filter.kind === undefined || kind === filter.kind) &&
    (filter.namespace === undefined || metadata.namespace === filter.namespace) &&
    (filter.ownerUid === undefined || metadata.ownerReferences.some(({ uid }) => uid === filter.ownerUid)) &&
    Object.entries(filter.labels ?? {}).every(([name, value]) => metadata.labels[name] === value)
  );
}

function compareNames(a: Resource, b: Resource): number {
  return (
    compare(a.metadata.namespace, b.metadata.namespace) ||
    compare(a.metadata.name, b.metadata.name) ||
    compare(a.kind, b.kind)
  );
}

/** By code units, as names are compared everywhere else; not by the rules of a language. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
