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
 * The application's way in: CloudNativePG's Secret `<cluster>-app` (kubernetes.io/basic-auth, with ready-made connection
 * strings), made with a random password unless the manifest names a Secret of its own, and the role's password kept to it.
 */

/** Makes the Secret where it is to be ours, and keeps its connection strings right. */
export function ensureApplicationSecret(
  view: ClusterView,
  store: ResourceStore,
  primary: Pick<InstanceSpec, "port">,
): void {
  const application = applicationOf(view);
  if (application === undefined || application.secret !== undefined) return;
  const name = `${view.name}-app`;
  const key = { kind: "Secret", namespace: view.namespace, name };
  const present = store.get(key);
  // One that somebody made by hand under this name stays as it is.
  if (
    present !== undefined &&
    !present.metadata.ownerReferences.some(({ uid }) => uid === view.resource.metadata.uid)
  )
    return;
  const known =
    present === undefined ? undefined : readSecret(store, view.namespace, { name, key: "password" });
  const password = known?.kind === "ok" ? known.value : randomBytes(32).toString("base64url");
  const { database, owner } = application;
  const { port } = primary;
  const uri = `postgresql://${encodeURIComponent(owner)}:${encodeURIComponent(password)}@localhost:${port}/${encodeURIComponent(database)}`;
  const values = {
    username: owner,
    user: owner,
    password,
    dbname: database,
    host: "localhost",
    port: String(port),
    uri,
    pgpass: `localhost:${port}:${database}:${owner}:${password}\n`,
  };
  const draft: ResourceDraft = {
    apiVersion: "v1",
    kind: "Secret",
    namespace: view.namespace,
    name,
    content: { type: "kubernetes.io/basic-auth", data: encoded(values) },
    labels: { "cnpg.io/cluster": view.name, "cnpg.io/userType": "app" },
    ownerReferences: [ownerReferenceTo(view.resource)],
  };
  if (present === undefined) store.create(draft);
  else store.update({ ...draft, annotations: present.metadata.annotations });
}

/**
 * Gives the role the Secret's password where that has changed since `done`. Returns what to remember, undefined when there is
 * nothing to set (no Secret yet, no application). Throws what connecting throws.
 */
export async function syncApplicationPassword(
  view: ClusterView,
  store: ResourceStore,
  primary: Pick<InstanceSpec, "port" | "socketDirectory">,
  done: string | undefined,
): Promise<string | undefined> {
  const application = applicationOf(view);
  if (application === undefined) return undefined;
  const name = application.secret ?? `${view.name}-app`;
  const password = readSecret(store, view.namespace, { name, key: "password" });
  if (password.kind === "missing") return undefined;
  const secret = store.get({ kind: "Secret", namespace: view.namespace, name });
  // Of the object, not of the password: nothing in a status may help to guess one.
  const mark = createHash("sha256")
    .update(`${secret?.metadata.uid} ${secret?.metadata.generation} ${application.owner}`)
    .digest("hex")
    .slice(0, 16);
  if (mark === done) return mark;
  await using connection = await connect({
    host: primary.socketDirectory,
    port: primary.port,
    user: "postgres",
    database: "postgres",
    applicationName: "tidemark-control",
    timeoutMs: 5000,
  });
  await setPassword(connection, application.owner, password.value);
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
