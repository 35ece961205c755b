import type { InstanceBootstrap, InstanceSpec } from "../../instance/instance-spec.ts";
import { canonical } from "./canonical.ts";
import type { ClusterView } from "./cluster-view.ts";
import { archiveSpecOf, type OpenableArchive } from "./openable-archive.ts";
import { serverParameters } from "./server-parameters.ts";

/** Where an instance is reached on this machine: chosen once, when it is made. */
export interface InstancePlace {
  readonly name: string;
  readonly port: number;
  readonly socketDirectory: string;
}

export type InstanceRole = InstanceSpec["role"];

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
    ...(archive === undefined || view.skipsArchiving
      ? {}
      : { archive: archiveSpecOf(archive, { requireEmptyArchive: !view.skipsEmptyArchiveCheck }) }),
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
