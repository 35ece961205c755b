import { shortName } from "./kind-arguments.ts";

/** One object that is named. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface DeletionPlan {
  readonly missing: readonly ObjectName[];
  /** What goes because only the objects that are deleted own it. */
  readonly alsoDeleted: readonly ObjectName[];
}

/** What to say before objects are deleted: which, what goes with them, and what stays. */
export function deletionText(objects: readonly ObjectName[], { alsoDeleted }: DeletionPlan): string {
  const named = new Set(objects.map(idOf));
  const further = alsoDeleted.filter((object) => !named.has(idOf(object)));
  const kinds = new Set([...objects, ...further].map(({ kind }) => kind));
  return [
    "To be deleted:",
    ...objects.map(lineOf),
    ...(further.length === 0 ? [] : ["and with them, because they own it:", ...further.map(lineOf)]),
    ...remarks.flatMap(({ kind, text }) => (kinds.has(kind) ? [text] : [])),
  ]
    .map((line) => `${line}\n`)
    .join("");
}

const idOf = ({ kind, namespace, name }: ObjectName): string => JSON.stringify([kind, namespace, name]);

function lineOf({ kind, namespace, name }: ObjectName): string {
  return `  ${shortName(kind, name)}${namespace === "" ? "" : ` in ${namespace}`}`;
}

const remarks = [
  {
    kind: "Cluster",
    text: "A Cluster goes with its servers and their data. Backups and WAL in its object stores stay.",
  },
  {
    kind: "Backup",
    text: "Of a Backup only the object goes: the stored data stays, and can be restored from (--purge deletes it).",
  },
  { kind: "ObjectStore", text: "Of an ObjectStore only the description goes: what is stored there stays." },
] as const;
