import { createHash, randomBytes } from "node:crypto";
import type { InstanceSpec } from "../../instance/instance-spec.ts";
import { connect, type SqlConnection } from "../../postgres/connection.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { ownerReferenceTo, type ResourceDraft } from "../resources/resource.ts";
import type { ClusterView } from "./cluster-view.ts";
import { applicationOf } from "./instance-bootstrap.ts";
import { scramVerifier } from "./scram-verifier.ts";
import { readSecret } from "./store-resolution.ts";

/**
 * The ways in by password, each kept to a Secret (kubernetes.io/basic-auth, with ready-made connection strings) as CloudNativePG
 * names them: `<cluster>-app` for the application's role, and with `enableSuperuserAccess` `<cluster>-superuser` for `postgres`.
 * Made with a random password unless the manifest names a Secret of its own.
 */
interface Login {
  readonly kind: "app" | "superuser";
  readonly role: string;
  readonly database: string;
  /** Of the manifest; undefined where ours is made. */
  readonly secret: string | undefined;
}

const superuser = "postgres";

function loginsOf(view: ClusterView): readonly Login[] {
  const { spec } = view;
  const application = applicationOf(view);
  return [
    ...(application === undefined
      ? []
      : [
          {
            kind: "app" as const,
            role: application.owner,
            database: application.database,
            secret: application.secret,
          },
        ]),
    ...(spec.enableSuperuserAccess === true
      ? [
          {
            kind: "superuser" as const,
            role: superuser,
            database: "postgres",
            secret: spec.superuserSecret?.name,
          },
        ]
      : []),
  ];
}

function secretNameOf({ name }: ClusterView, { kind, secret }: Login): string {
  return secret ?? `${name}-${kind}`;
}

/** Makes the Secrets that are to be ours, and keeps their connection strings right. */
export function ensureLoginSecrets(
  view: ClusterView,
  store: ResourceStore,
  primary: Pick<InstanceSpec, "port">,
): void {
  for (const login of loginsOf(view))
    if (login.secret === undefined) ensureSecret(view, store, login, primary);
}

function ensureSecret(
  view: ClusterView,
  store: ResourceStore,
  login: Login,
  { port }: Pick<InstanceSpec, "port">,
): void {
  const name = secretNameOf(view, login);
  const present = store.get({ kind: "Secret", namespace: view.namespace, name });
  // One that somebody made by hand under this name stays as it is.
  if (
    present !== undefined &&
    !present.metadata.ownerReferences.some(({ uid }) => uid === view.resource.metadata.uid)
  ) {
    return;
  }
  const known =
    present === undefined ? undefined : readSecret(store, view.namespace, { name, key: "password" });
  const password = known?.kind === "ok" ? known.value : randomBytes(32).toString("base64url");
  const { role, database } = login;
  const uri = `postgresql://${encodeURIComponent(role)}:${encodeURIComponent(password)}@localhost:${port}/${encodeURIComponent(database)}`;
  const values = {
    username: role,
    user: role,
    password,
    dbname: database,
    host: "localhost",
    port: String(port),
    uri,
    pgpass: `localhost:${port}:${database}:${role}:${password}\n`,
  };
  const draft: ResourceDraft = {
    apiVersion: "v1",
    kind: "Secret",
    namespace: view.namespace,
    name,
    content: { type: "kubernetes.io/basic-auth", data: encoded(values) },
    labels: { "cnpg.io/cluster": view.name, "cnpg.io/userType": login.kind },
    ownerReferences: [ownerReferenceTo(view.resource)],
  };
  if (present === undefined) store.create(draft);
  else store.update({ ...draft, annotations: present.metadata.annotations });
}

/**
 * Gives the roles the passwords of their Secrets where those have changed since `done`; without superuser access `postgres` has
 * none, and comes in over the socket alone. Returns what to remember. Throws what connecting throws.
 */
export async function syncPasswords(
  view: ClusterView,
  store: ResourceStore,
  primary: Pick<InstanceSpec, "port" | "socketDirectory">,
  done: string | undefined,
): Promise<string> {
  const wanted = loginsOf(view).flatMap((login) => {
    const name = secretNameOf(view, login);
    const password = readSecret(store, view.namespace, { name, key: "password" });
    const secret = store.get({ kind: "Secret", namespace: view.namespace, name });
    return password.kind === "missing" || secret === undefined
      ? []
      : [{ ...login, secret, password: password.value }];
  });
  // Of the objects, not of the passwords: nothing in a status may help to guess one.
  const text = wanted.map(
    ({ role, secret: { metadata } }) => `${role} ${metadata.uid} ${metadata.generation}`,
  );
  const mark = createHash("sha256").update(text.join("\n")).digest("hex").slice(0, 16);
  if (mark === done) return mark;
  await using connection = await connect({
    host: primary.socketDirectory,
    port: primary.port,
    user: superuser,
    database: "postgres",
    applicationName: "tidemark-control",
    timeoutMs: 5000,
  });
  for (const { role, password } of wanted) await setPassword(connection, role, password);
  if (view.spec.enableSuperuserAccess !== true) {
    await connection.query(`ALTER ROLE ${superuser} PASSWORD NULL`);
  }
  return mark;
}

async function setPassword(connection: SqlConnection, role: string, password: string): Promise<void> {
  const [names] = await connection.query<{ readonly role: string; readonly verifier: string }>(
    "SELECT quote_ident($1) AS role, quote_literal($2) AS verifier",
    [role, await scramVerifier(password)],
  );
  if (names === undefined) return;
  await connection.query(`ALTER ROLE ${names.role} LOGIN PASSWORD ${names.verifier}`);
}

function encoded(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Buffer.from(value, "utf8").toString("base64")]),
  );
}
