import type { ResourceStore } from "../resource-store.ts";
import { formatKey, keyOf } from "../resource.ts";

/** What the store tells from now on, as `type Kind namespace/name`. */
export function toldBy(store: ResourceStore): string[] {
  const told: string[] = [];
  store.subscribe(({ type, resource }) => told.push(`${type} ${formatKey(keyOf(resource))}`));
  return told;
}
