import { z } from "zod";
import type { InstanceBootstrap } from "../../instance/instance-spec.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ClusterSpec, ClusterView } from "./cluster-view.ts";
import { readSecret, type Resolution } from "./store-resolution.ts";

type Initdb = NonNullable<NonNullable<ClusterSpec["bootstrap"]>["initdb"]>;
type InitdbBootstrap = Extract<InstanceBootstrap, { kind: "initdb" }>;
type References = Initdb["postInitSQLRefs"];

/** The application's database and role: given, or CloudNativePG's `app`. */
export function applicationOf({
  spec,
}: ClusterView):
  | { readonly database: string; readonly owner: string; readonly secret: string | undefined }
  | undefined {
  const { initdb, recovery, pg_basebackup: copy } = spec.bootstrap ?? {};
  const given = recovery ?? copy;
  if (given !== undefined) {
    return given.database === undefined || given.owner === undefined
      ? undefined
      : { database: given.database, owner: given.owner, secret: given.secret?.name };
  }
  const database = initdb?.database ?? "app";
  return { database, owner: initdb?.owner ?? database, secret: initdb?.secret?.name };
}

/** The application of a cluster that has its data from elsewhere, as far as one is named. */
export function givenApplication(view: ClusterView): {
  readonly application?: { readonly database: string; readonly owner: string };
} {
  const application = applicationOf(view);
  if (application === undefined) return {};
  return { application: { database: application.database, owner: application.owner } };
}

/** A new, empty cluster. */
export function initdbBootstrap(view: ClusterView, store: ResourceStore): Resolution<InitdbBootstrap> {
  const initdb = view.spec.bootstrap?.initdb ?? {};
  const problems: string[] = [];
  const sql = (inline: readonly string[] = [], references: References): string[] => {
    const found = referencedSql(view, references, store);
    if (found.kind === "missing") problems.push(...found.problems);
    return [...inline, ...(found.kind === "ok" ? found.value : [])];
  };
  const value: InitdbBootstrap = {
    kind: "initdb",
    application: applicationOf(view) ?? { database: "app", owner: "app" },
    // CloudNativePG's default is off, and a damaged page then goes unnoticed into every backup.
    dataChecksums: initdb.dataChecksums ?? true,
    encoding: initdb.encoding ?? "UTF8",
    arguments: initdb.options ?? localeArguments(initdb),
    ...(initdb.walSegmentSize === undefined ? {} : { walSegmentSizeMib: initdb.walSegmentSize }),
    postInitSql: sql(initdb.postInitSQL, initdb.postInitSQLRefs),
    postInitTemplateSql: sql(initdb.postInitTemplateSQL, initdb.postInitTemplateSQLRefs),
    postInitApplicationSql: sql(initdb.postInitApplicationSQL, initdb.postInitApplicationSQLRefs),
  };
  const { application } = value;
  const named = { ...value, application: { database: application.database, owner: application.owner } };
  return problems.length > 0 ? { kind: "missing", problems } : { kind: "ok", value: named };
}

function localeArguments(initdb: Initdb): string[] {
  const given: readonly (readonly [string, string | undefined])[] = [
    ["--locale", initdb.locale],
    ["--lc-collate", initdb.localeCollate],
    ["--lc-ctype", initdb.localeCType],
    ["--locale-provider", initdb.localeProvider],
    ["--icu-locale", initdb.icuLocale],
    ["--icu-rules", initdb.icuRules],
    ["--builtin-locale", initdb.builtinLocale],
  ];
  return given.flatMap(([flag, value]) => (value === undefined ? [] : [`${flag}=${value}`]));
}

/** Secrets first, then ConfigMaps, as CloudNativePG runs them. */
function referencedSql(
  { namespace }: ClusterView,
  references: References,
  store: ResourceStore,
): Resolution<readonly string[]> {
  const found: string[] = [];
  const problems: string[] = [];
  for (const selector of references?.secretRefs ?? []) {
    const value = readSecret(store, namespace, selector);
    if (value.kind === "ok") found.push(value.value);
    else problems.push(...value.problems);
  }
  for (const { name, key } of references?.configMapRefs ?? []) {
    const map = store.get({ kind: "ConfigMap", namespace, name });
    const data = texts.safeParse(map?.content["data"] ?? {});
    const value = data.success ? data.data[key] : undefined;
    if (value !== undefined) found.push(value);
    else if (map === undefined) problems.push(`ConfigMap "${name}" is not in namespace "${namespace}"`);
    else problems.push(`ConfigMap "${name}" has no key "${key}"`);
  }
  return problems.length > 0 ? { kind: "missing", problems } : { kind: "ok", value: found };
}

const texts = z.record(z.string(), z.string());
