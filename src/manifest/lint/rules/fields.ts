import { checkSchema, notedFields, type SchemaProblem } from "../../check-schema.ts";
import { findKind, isForeign, isLeftAlone, knownKinds } from "../../kinds/registry.ts";
import { formatPath, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import type { Finding, Rule } from "../rule.ts";
import { namespaceOf, type World } from "../world.ts";
import { misplacedField } from "./misplaced-fields.ts";

/** What every object must be, whatever it means. */

const unknownKind: Rule = {
  id: "unknown-kind",
  severity: "error",
  summary: "a kind that nothing here understands",
  explanation:
    "A misspelt kind, or one with an old apiVersion, would be left out without a word. It is refused by name instead. Kinds of other projects are only mentioned.",
  *check(world) {
    for (const object of world.objects) {
      const { apiVersion, kind } = object;
      if (findKind(apiVersion, kind) !== undefined || isLeftAlone(apiVersion, kind)) continue;
      const names = knownKinds.map((known) => known.kind);
      const near = nearest(kind, names);
      // Somebody else's kind, and not one of ours with a misspelt apiVersion.
      if (isForeign(apiVersion) && !isNearGroup(apiVersion)) {
        yield {
          object,
          path: ["kind"],
          severity: "info",
          message: `"${kind}" of "${apiVersion}" is not looked at, and not run here`,
        };
        continue;
      }
      const sameKind = knownKinds.find((known) => known.kind === kind);
      yield {
        object,
        path: [sameKind === undefined ? "kind" : "apiVersion"],
        message: `"${kind}" of "${apiVersion}" is not a kind that is understood here`,
        ...(sameKind !== undefined
          ? { hint: `Its apiVersion is ${sameKind.apiVersion}.` }
          : near === undefined
            ? {}
            : { hint: `Did you mean ${near}?` }),
      };
    }
  },
};

function isNearGroup(apiVersion: string): boolean {
  const groups = knownKinds.map((known) => known.apiVersion).filter((known) => known.includes("/"));
  return nearest(apiVersion, groups) !== undefined;
}

const leftAlone: Rule = {
  id: "not-run-here",
  severity: "info",
  summary: "a kind that stands beside backups and is not run here",
  explanation:
    "Poolers, databases and image catalogues of CloudNativePG, Jobs, Services and service accounts are accepted, so that a whole directory can be given, and are not run here. Their fields are not looked at.",
  *check(world) {
    for (const object of world.objects) {
      const { apiVersion, kind } = object;
      if (!isLeftAlone(apiVersion, kind)) continue;
      yield { object, path: ["kind"], message: `${withArticle(kind)} is accepted, and not run here` };
    }
  },
};

const missingName: Rule = {
  id: "missing-name",
  severity: "error",
  summary: "an object without a name",
  explanation:
    "Every object needs metadata.name: it is what others refer to. generateName is not supported in files.",
  *check(world) {
    for (const object of world.objects) {
      if (object.name === "") yield { object, path: ["metadata"], message: "it has no metadata.name" };
    }
  },
};

const duplicateObject: Rule = {
  id: "duplicate-object",
  severity: "error",
  summary: "two objects of one kind, namespace and name",
  explanation: "Which of the two would count depends on the order of the files. Keep one of them.",
  *check(world) {
    const seen = new Map<string, ManifestObject>();
    for (const object of world.objects) {
      const id = `${object.apiVersion} ${object.kind} ${namespaceOf(object)}/${object.name}`;
      const first = seen.get(id);
      if (first === undefined) seen.set(id, object);
      else if (object.name !== "") {
        yield {
          object,
          path: ["metadata", "name"],
          message: `${object.kind} "${object.name}" is also in ${first.source.path}`,
        };
      }
    }
  },
};

const unknownField: Rule = {
  id: "unknown-field",
  severity: "error",
  summary: "a field that nobody reads",
  explanation:
    "kubectl refuses an unknown field; a plain API client has it removed without a word, and then the setting that it was meant to be has its default. Nothing here ignores a field: it is an error, with the nearest known name or the place where a field of that name belongs.",
  *check(world) {
    for (const { object, problem } of problemsOf(world)) {
      if (problem.kind !== "unknown-field" || misplacedField(object, problem.path)) continue;
      yield { object, path: problem.path, ...describeUnknown(object, problem) };
    }
  },
};

function describeUnknown(
  { kind }: ManifestObject,
  { path, nearestName, knownAt }: Extract<SchemaProblem, { kind: "unknown-field" }>,
): Pick<Finding, "message" | "hint"> {
  const message = `"${formatPath(path)}" is not a field of ${withArticle(kind)}`;
  if (nearestName !== undefined) return { message, hint: `Did you mean "${nearestName}"?` };
  if (knownAt.length === 0 || knownAt.length > 3) return { message };
  return { message, hint: `A field of that name is known at ${knownAt.map(formatPath).join(", ")}.` };
}

const missingField: Rule = {
  id: "missing-field",
  severity: "error",
  summary: "a field that must be given",
  explanation: "The API server refuses an object without it.",
  *check(world) {
    for (const { object, problem } of problemsOf(world)) {
      if (problem.kind !== "missing-field" || isNameOfObject(problem.path)) continue;
      yield { object, path: problem.path, message: `"${formatPath(problem.path)}" is missing` };
    }
  },
};

/** Said by `missing-name`. */
function isNameOfObject(path: FieldPath): boolean {
  return path[0] === "metadata";
}

const badValue: Rule = {
  id: "bad-value",
  severity: "error",
  summary: "a value of the wrong type or form",
  explanation: "The API server refuses it, or whoever uses the field does later.",
  *check(world) {
    for (const { object, problem } of problemsOf(world)) {
      if (problem.kind !== "bad-value") continue;
      yield { object, path: problem.path, message: `"${formatPath(problem.path)}": ${problem.message}` };
    }
  },
};

const kubernetesOnly: Rule = {
  id: "kubernetes-only",
  severity: "info",
  summary: "fields that mean something on Kubernetes only",
  explanation:
    "Placement, images, probes, resources and the like are accepted, so that the same manifest works on a cluster, and have no effect on one machine. So are passwords and certificates of external clusters: a running cluster is copied over its socket.",
  *check(world) {
    for (const object of world.objects) {
      const schema = findKind(object.apiVersion, object.kind)?.schema;
      if (schema === undefined) continue;
      const paths = notedFields(schema, object.value).flatMap((field) =>
        field.kubernetesOnly ? [field.path] : [],
      );
      const [first] = paths;
      if (first === undefined) continue;
      yield {
        object,
        path: first,
        message: `without effect on one machine: ${paths.map(formatPath).join(", ")}`,
      };
    }
  },
};

const deprecatedField: Rule = {
  id: "in-tree-deprecated",
  severity: "warning",
  summary: "barmanObjectStore in a Cluster, which CloudNativePG 1.31 takes away",
  explanation:
    "The in-tree Barman Cloud support (`spec.backup.barmanObjectStore` and `externalClusters[].barmanObjectStore`) is deprecated and will be removed from CloudNativePG 1.31. It is honoured here. Move the configuration to an ObjectStore and name it in the parameters of the plugin `barman-cloud.cloudnative-pg.io`: the data stays where it is.",
  *check(world) {
    for (const object of world.clusters) {
      const schema = findKind(object.apiVersion, object.kind)?.schema;
      if (schema === undefined) continue;
      for (const { path, deprecated } of notedFields(schema, object.value)) {
        if (deprecated === undefined) continue;
        yield {
          object,
          path,
          message: `"${formatPath(path)}" is deprecated: use ${deprecated}`,
        };
      }
    }
  },
};

function withArticle(kind: string): string {
  return `${/^[AEIOU]/.test(kind) ? "an" : "a"} ${kind}`;
}

interface ObjectProblem {
  readonly object: ManifestObject;
  readonly problem: SchemaProblem;
}

function problemsOf(world: World): readonly ObjectProblem[] {
  return world.objects.flatMap((object) => {
    const schema = findKind(object.apiVersion, object.kind)?.schema;
    if (schema === undefined) return [];
    return checkSchema(schema, object.value).map((problem) => ({ object, problem }));
  });
}

export const fieldRules: readonly Rule[] = [
  unknownKind,
  leftAlone,
  missingName,
  duplicateObject,
  unknownField,
  missingField,
  badValue,
  kubernetesOnly,
  deprecatedField,
];
