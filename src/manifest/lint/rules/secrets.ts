import { isRecord, valueAt, type ManifestObject } from "../../manifest-object.ts";
import type { Rule } from "../rule.ts";
import { listAt, namespaceOf, textAt, type World } from "../world.ts";
import { referencesOf } from "../object-references.ts";

/** Secrets of which something is not read. */

const unusedSecretKey: Rule = {
  id: "unused-secret-key",
  severity: "warning",
  summary: "a key of a Secret that looks like a setting and is not read",
  explanation:
    "Only keys that a manifest names are read. An endpoint or region in a Secret has no effect unless the configuration refers to it: the endpoint belongs to `endpointURL`, the region to `s3Credentials.region`.",
  *check(world) {
    const used = new Set(
      world.objects.flatMap((object) =>
        referencesOf(world, object).map(({ name, key }) => `${namespaceOf(object)}/${name}/${key ?? ""}`),
      ),
    );
    for (const secret of world.ofKind("Secret")) {
      const prefix = `${namespaceOf(secret)}/${secret.name}/`;
      if (![...used].some((id) => id.startsWith(prefix))) continue;
      for (const field of ["data", "stringData"]) {
        for (const key of Object.keys((valueAt(secret.value, [field]) as object | undefined) ?? {})) {
          if (used.has(prefix + key) || !/endpoint|region|bucket|url/i.test(key)) continue;
          yield {
            object: secret,
            path: [field, key],
            message: `key "${key}" is not read by anybody`,
            hint: /endpoint|url/i.test(key)
              ? "The endpoint belongs to endpointURL of the store's configuration."
              : "Refer to it where it is meant, or leave it out.",
          };
        }
      }
    }
  },
};

const unusedSecret: Rule = {
  id: "unused-secret",
  severity: "warning",
  summary: "a user's password that no Cluster refers to",
  explanation:
    "A Secret of type kubernetes.io/basic-auth makes no user by itself. It is the password of a database's owner only where a Cluster names it in `bootstrap.initdb.secret` (with `owner` the same name), or in `superuserSecret` or `managed.roles`.",
  *check(world) {
    const used = new Set(
      world.objects.flatMap((object) =>
        referencesOf(world, object).map(({ name }) => `${namespaceOf(object)}/${name}`),
      ),
    );
    for (const object of world.ofKind("Secret")) {
      if (textAt(object, "type") !== "kubernetes.io/basic-auth") continue;
      if (used.has(`${namespaceOf(object)}/${object.name}`) || isNamedByRoles(world, object)) continue;
      yield {
        object,
        path: ["metadata", "name"],
        message: `no Cluster refers to "${object.name}": its user is not made`,
        hint: "Name it in spec.bootstrap.initdb.secret, with owner as its user.",
      };
    }
  },
};

function isNamedByRoles(world: World, { name }: ManifestObject): boolean {
  return world.clusters.some((cluster) =>
    listAt(cluster, "spec", "managed", "roles").some(
      (role) => isRecord(role) && isRecord(role["passwordSecret"]) && role["passwordSecret"]["name"] === name,
    ),
  );
}

export const secretRules: readonly Rule[] = [unusedSecretKey, unusedSecret];
