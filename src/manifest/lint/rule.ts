import type { FieldPath, ManifestObject } from "../manifest-object.ts";
import type { World } from "./world.ts";

/**
 * - `error`: it is refused, or does something other than what it says. `tidemark up` does not apply it.
 * - `warning`: it is applied, in the sense that the message gives.
 * - `info`: worth knowing.
 */
export type Severity = "error" | "warning" | "info";

/** A change of one object, as small as it can be: comments and order stay. */
export type Edit =
  | { readonly kind: "set"; readonly path: FieldPath; readonly value: unknown }
  | { readonly kind: "remove"; readonly path: FieldPath }
  /** To another place of the same object; what is around the new place is made. */
  | {
      readonly kind: "move";
      readonly from: FieldPath;
      readonly to: FieldPath;
      /** Where it is to have another form there. */
      readonly value?: unknown;
    };

export interface Fix {
  /** What it does, as a command: `write the schedule with six fields: 0 0 3 * * *`. */
  readonly title: string;
  readonly edits: readonly ObjectEdit[];
}

export type ObjectEdit = Edit & { readonly object: ManifestObject };

/** Something that a rule has to say of one object. */
export interface Finding {
  readonly object: ManifestObject;
  /** To the field that it is about; empty for the whole object. */
  readonly path: FieldPath;
  /** What would really happen, with the values seen. Lower case, no full stop at the end. */
  readonly message: string;
  /** What to do. */
  readonly hint?: string;
  readonly fix?: Fix;
  /** Where it differs from the rule's own. */
  readonly severity?: Severity;
  /** It is about something that is not there: another manifest can make it untrue. Admission then only warns. */
  readonly mayComeLater?: true;
}

/** A mistake that people make. Pure: it sees the manifests and nothing else. */
export interface Rule {
  /** Stable: people switch rules off by it. */
  readonly id: string;
  readonly severity: Severity;
  /** A line for lists. */
  readonly summary: string;
  /** What really happens with such a manifest, and what to write: the rule's page. */
  readonly explanation: string;
  readonly check: (world: World) => Iterable<Finding>;
}
