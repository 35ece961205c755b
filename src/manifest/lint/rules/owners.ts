import { valueAt, type ManifestObject } from "../../manifest-object.ts";
import { keysOf } from "../object-references.ts";
import type { Finding, Rule } from "../rule.ts";
import { namespaceOf, textAt } from "../world.ts";

/** Passwords of users, and whose they are. */

const secretUsername: Rule = {
  id: "secret-username",
  severity: "error",
  summary: "a user's Secret that is for another user, or lacks a key",
  explanation:
    '`bootstrap.*.secret` and `superuserSecret` are Secrets of type kubernetes.io/basic-auth with the keys username and password, and username must be the owner of the database (for the superuser: postgres). CloudNativePG reads the Secret only when the server runs, and then refuses it each time ("wrong username … in secret, expected …"): the owner has no password. It is said where the Secret is among the manifests.',
  *check(world) {
    for (const object of world.clusters) {
      for (const { path, owner } of usersOf(object)) {
        const name = textAt(object, ...path, "name");
        const secret = name === undefined ? undefined : world.find("Secret", namespaceOf(object), name);
        if (secret !== undefined) yield* secretFindings(object, { path, owner, secret });
      }
    }
  },
};

interface UserSecret {
  readonly path: readonly string[];
  readonly owner: string | undefined;
}

function usersOf(cluster: ManifestObject): readonly UserSecret[] {
  const ofBootstrap = ["initdb", "recovery", "pg_basebackup"].map((method) => {
    const at = ["spec", "bootstrap", method];
    const owner = textAt(cluster, ...at, "owner");
    const isNew = method === "initdb";
    return {
      path: [...at, "secret"],
      owner: owner ?? (isNew ? (textAt(cluster, ...at, "database") ?? "app") : undefined),
    };
  });
  return [...ofBootstrap, { path: ["spec", "superuserSecret"], owner: "postgres" }];
}

function* secretFindings(
  object: ManifestObject,
  { path, owner, secret }: UserSecret & { readonly secret: ManifestObject },
): Iterable<Finding> {
  for (const key of ["username", "password"]) {
    if (keysOf(secret).includes(key)) continue;
    yield {
      object,
      path: [...path, "name"],
      message: `Secret "${secret.name}" has no key "${key}": the user gets no password`,
      hint: "It is a Secret of type kubernetes.io/basic-auth, with username and password.",
    };
  }
  const username = usernameIn(secret);
  if (username === undefined || owner === undefined || username === owner) return;
  yield {
    object,
    path: [...path, "name"],
    // The name that is in the Secret stays there, as everything that is in one.
    message: `the username in Secret "${secret.name}" is not "${owner}", for whom it is`,
    hint: `Write ${owner} as its username, or name its user as the owner.`,
  };
}

function usernameIn(secret: ManifestObject): string | undefined {
  const plain = valueAt(secret.value, ["stringData", "username"]);
  if (typeof plain === "string") return plain;
  const encoded = valueAt(secret.value, ["data", "username"]);
  return typeof encoded === "string" ? Buffer.from(encoded, "base64").toString() : undefined;
}

export const ownerRules: readonly Rule[] = [secretUsername];
