import type { ExternalSecretSpec } from "../../manifest/kinds/external-secret.ts";
import type { Resource } from "../resources/resource.ts";
import { readManagedNote, type ManagedNote } from "./managed-fields.ts";
import type { SecretValues } from "./secret-keys.ts";

/** What a target Secret is made from. */
export interface SecretFacts {
  readonly external: Resource;
  readonly spec: ExternalSecretSpec;
  readonly secretName: string;
  /** The Secret as it is. */
  readonly existing: Resource | undefined;
  readonly values: SecretValues;
  /** Names of the other ExternalSecrets with the same target. */
  readonly rivals: ReadonlySet<string>;
}

/** What the others with this target have put there. */
export function notesOfRivals({ existing, rivals }: SecretFacts): ManagedNote {
  return Object.fromEntries(Object.entries(readManagedNote(existing)).filter(([name]) => rivals.has(name)));
}

/** Keys that this ExternalSecret writes: those of what was fetched, unless a template takes their place, and the template's. */
export function writtenKeys({ spec, values }: SecretFacts): ReadonlySet<string> {
  const { data = {}, mergePolicy } = spec.target?.template ?? {};
  const names = Object.keys(data);
  return new Set(names.length === 0 || mergePolicy === "Merge" ? [...values.keys(), ...names] : names);
}
