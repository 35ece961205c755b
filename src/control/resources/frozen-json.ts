/**
 * A copy of `value` that is nothing but JSON, shares nothing with it, and is frozen at all depths: one object can be handed
 * to everybody, and who would change it by mistake is told by a TypeError instead of changing it for all. Throws what
 * `JSON.stringify` throws for what JSON cannot hold (a bigint, a circle).
 */
export function frozenJson<T extends object>(value: T): T {
  return deeplyFrozen(JSON.parse(JSON.stringify(value)) as T);
}

/** The value itself, frozen at all depths. What is frozen already is taken to be so below as well. */
export function deeplyFrozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deeplyFrozen(part);
  return Object.freeze(value);
}
