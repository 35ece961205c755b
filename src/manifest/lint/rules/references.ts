import { isRecord } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import { keysOf, referencesOf, type Reference } from "../object-references.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, listAt, namespaceOf, textAt, type World } from "../world.ts";

/** Names that refer to nothing, or to something elsewhere. */

const missingReference: Rule = {
  id: "missing-reference",
  severity: "warning",
  summary: "a name that refers to nothing",
  explanation:
    "A Secret, ConfigMap, key, ObjectStore, Cluster, Server or Backup that is named must be in the same namespace: no reference has a namespace. CloudNativePG notices a missing one only when it is used, so the first backup fails, or nothing happens at all. It is an error where one of that name stands in another namespace, or where the object is there and lacks the key; otherwise a warning, because it may exist already.",
  *check(world) {
    for (const object of world.objects) {
      const said = new Set<string>();
      for (const reference of referencesOf(world, object)) {
        const finding = findingFor(world, reference);
        if (finding === undefined || said.has(finding.message)) continue;
        said.add(finding.message);
        yield finding;
      }
    }
  },
};

function findingFor(world: World, reference: Reference): Finding | undefined {
  const { object, path, kind, name, key } = reference;
  const namespace = namespaceOf(object);
  const target = world.find(kind, namespace, name);
  if (target !== undefined) {
    if (key === undefined || keysOf(target).includes(key)) return undefined;
    const near = nearest(key, keysOf(target));
    return {
      object,
      path,
      severity: "error",
      message: `${kind} "${name}" has no key "${key}"`,
      hint: near === undefined ? `It has ${keysOf(target).join(", ") || "none"}.` : `Did you mean "${near}"?`,
    };
  }
  if (kind === "Secret" && isMadeByOthers(world, namespace, name, key)) return undefined;
  const elsewhere = world.namespacesOf(kind, name);
  const base = `${kind} "${name}" is not in namespace "${namespace}"`;
  if (elsewhere.length > 0) {
    return {
      object,
      path,
      severity: "error",
      mayComeLater: true,
      message: `${base}, where it is looked for; there is one in ${elsewhere.map((place) => `"${place}"`).join(", ")}`,
      hint: "References stay within a namespace: put both into the same one.",
    };
  }
  const names = world.ofKind(kind).filter((other) => namespaceOf(other) === namespace);
  const near = nearest(
    name,
    names.map((other) => other.name),
  );
  return {
    object,
    path,
    message: `${base} of these manifests`,
    hint: `It must exist already, or nothing will work.${near === undefined ? "" : ` Did you mean "${near}"?`}`,
  };
}

/** Secrets that CloudNativePG makes for a Cluster of these manifests, that an ExternalSecret or a SealedSecret makes. */
function isMadeByOthers(world: World, namespace: string, name: string, key: string | undefined): boolean {
  const cluster = /^(.+)-(?:app|superuser|ca|server|replication)$/.exec(name)?.[1];
  if (cluster !== undefined && world.find("Cluster", namespace, cluster) !== undefined) return true;
  if (world.find("SealedSecret", namespace, name) !== undefined) return true;
  return madeByExternalSecret(world, namespace, name, key);
}

/** Whether an ExternalSecret makes this Secret; where it takes all keys of its source, any may be among them. */
function madeByExternalSecret(
  world: World,
  namespace: string,
  name: string,
  key: string | undefined,
): boolean {
  return world.ofKind("ExternalSecret").some((external) => {
    if (namespaceOf(external) !== namespace) return false;
    if ((textAt(external, "spec", "target", "name") ?? external.name) !== name) return false;
    if (textAt(external, "spec", "target", "creationPolicy") === "None") return false;
    if (key === undefined || listAt(external, "spec", "dataFrom").length > 0) return true;
    if (isSetAt(external, "spec", "target", "template")) return true;
    return listAt(external, "spec", "data").some((item) => isRecord(item) && item["secretKey"] === key);
  });
}

const missingNamespace: Rule = {
  id: "missing-namespace",
  severity: "error",
  summary: "a namespace that is nearly the one where everything else is",
  explanation:
    "Objects in a namespace that does not exist are refused, and in a misspelt one that exists they find neither Secrets nor stores. It is said only where what an object refers to stands in a namespace of nearly the same name.",
  *check(world) {
    for (const object of world.objects) {
      const namespace = namespaceOf(object);
      const elsewhere = referencesOf(world, object).flatMap(({ kind, name }) =>
        world.find(kind, namespace, name) === undefined ? world.namespacesOf(kind, name) : [],
      );
      const near = nearest(namespace, elsewhere);
      if (object.namespace === undefined || near === undefined || isNumbered(namespace, near)) continue;
      const count = (place: string): number =>
        world.objects.filter((other) => namespaceOf(other) === place).length;
      if (count(namespace) >= count(near)) continue;
      yield {
        object,
        path: ["metadata", "namespace"],
        mayComeLater: true,
        message: `namespace "${namespace}" is nearly "${near}", where the objects are that this one refers to`,
        hint: `Did you mean "${near}"?`,
      };
    }
  },
};

/** `db-1` and `db-2`, `dev` and `dev2` are two, not one misspelt. */
function isNumbered(a: string, b: string): boolean {
  return a.replaceAll(/\d+/g, "") === b.replaceAll(/\d+/g, "") || a.slice(0, -1) === b.slice(0, -1);
}

export const referenceRules: readonly Rule[] = [missingReference, missingNamespace];
