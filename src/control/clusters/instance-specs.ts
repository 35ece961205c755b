import type { InstanceBootstrap, InstanceSpec } from "../../instance/instance-spec.ts";
import type { RepositorySettings } from "../../repository/repository-settings.ts";
import type { ClusterArchive } from "./cluster-archive.ts";
import type { ClusterView } from "./cluster-view.ts";
import { serverParameters } from "./server-parameters.ts";

/** Where an instance is reached on this machine: chosen once, when it is made. */
export interface InstancePlace {
  readonly name: string;
  readonly port: number;
  readonly socketDirectory: string;
}

export type InstanceRole = InstanceSpec["role"];

/** The archive of a cluster with its stores as an instance opens them: credentials and certificates are in files. */
export interface OpenableArchive {
  readonly archive: ClusterArchive;
  readonly repositories: readonly RepositorySettings[];
}

/** Everything about an instance but its version, which counts changes. */
export type WantedSpec = Omit<InstanceSpec, "version">;

export function wantedSpec(
  view: ClusterView,
  given: {
    readonly place: InstancePlace;
    readonly role: InstanceRole;
    readonly bootstrap: InstanceBootstrap;
    readonly major: number;
    readonly binDirectory: string | undefined;
    readonly archive: OpenableArchive | undefined;
    readonly wanted: InstanceSpec["wanted"];
  },
): WantedSpec {
  const { place, role, bootstrap, major, binDirectory, archive, wanted } = given;
  const { spec } = view;
  return {
    format: 1,
    cluster: `${view.namespace}/${view.name}`,
    name: place.name,
    major,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    port: place.port,
    listenAddresses: "localhost",
    socketDirectory: place.socketDirectory,
    parameters: { ...serverParameters(view) },
    hba: [...(spec.postgresql?.pg_hba ?? [])],
    ident: [...(spec.postgresql?.pg_ident ?? [])],
    role,
    wanted,
    bootstrap,
    ...(archive === undefined || view.skipsArchiving ? {} : { archive: archiveSpec(view, archive) }),
  };
}

function archiveSpec(
  view: ClusterView,
  { archive, repositories }: OpenableArchive,
): NonNullable<InstanceSpec["archive"]> {
  const [first] = archive.stores;
  const { wal, data, tags } = first?.configuration ?? {};
  return {
    server: archive.serverName,
    repositories: [...repositories],
    walCompression: wal?.compression ?? "none",
    // `maxParallel` is how many Barman uploads at once, 1 unless said; ours is more by default and no less for being told.
    ...(wal?.maxParallel === undefined ? {} : { walConcurrency: wal.maxParallel }),
    policy: archive.policy,
    backupCompression: data?.compression ?? "none",
    ...(data?.jobs === undefined ? {} : { backupJobs: data.jobs }),
    fastCheckpoint: data?.immediateCheckpoint ?? false,
    requireEmptyArchive: !view.skipsEmptyArchiveCheck,
    tags: { ...tags },
  };
}

/**
 * The way that an instance came to be, once it has: statements that have been run are never run again, and those that come
 * from Secrets must not stay behind in a file.
 */
export function withoutStatements(bootstrap: InstanceBootstrap): InstanceBootstrap {
  return bootstrap.kind === "initdb"
    ? { ...bootstrap, postInitSql: [], postInitTemplateSql: [], postInitApplicationSql: [] }
    : bootstrap;
}

/**
 * Whether an instance has to be told: everything counts but the way it once came to be, which cannot be changed any more;
 * of that only statements that are to be forgotten.
 */
export function differs(wanted: WantedSpec, present: InstanceSpec): boolean {
  const { version: _version, bootstrap: made, ...rest } = present;
  const { bootstrap: given, ...want } = wanted;
  return canonical(rest) !== canonical(want) || (!hasStatements(given) && hasStatements(made));
}

/** Whether it would come to be in the same way. */
export function isSameBootstrap(wanted: WantedSpec, present: InstanceSpec): boolean {
  return canonical(wanted.bootstrap) === canonical(present.bootstrap);
}

function hasStatements(bootstrap: InstanceBootstrap): boolean {
  return canonical(bootstrap) !== canonical(withoutStatements(bootstrap));
}

/** The same text for the same values, whatever the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
