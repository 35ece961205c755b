import type { InstanceSpec } from "../../instance-spec.ts";

/** A whole specification, of an instance that archives nowhere. */
export function sampleSpec(change: Partial<InstanceSpec> = {}): InstanceSpec {
  return {
    format: 1,
    version: 1,
    cluster: "test/pg",
    name: "pg-1",
    major: 17,
    port: 5432,
    listenAddresses: "",
    socketDirectory: "/tmp",
    parameters: {},
    hba: [],
    ident: [],
    role: { kind: "primary" },
    wanted: "running",
    bootstrap: {
      kind: "initdb",
      application: { database: "app", owner: "app" },
      dataChecksums: true,
      encoding: "UTF8",
      arguments: ["--no-sync"],
      walSegmentSizeMib: 1,
      postInitSql: [],
      postInitTemplateSql: [],
      postInitApplicationSql: [],
    },
    ...change,
  };
}

/** An archive in a directory, with a base backup that takes no longer than it must. */
export function sampleArchive(
  directory: string,
  change: Partial<NonNullable<InstanceSpec["archive"]>> = {},
): NonNullable<InstanceSpec["archive"]> {
  return {
    server: "pg",
    repositories: [{ name: "main", url: directory }],
    walCompression: "zstd",
    policy: "all",
    backupCompression: "zstd",
    fastCheckpoint: true,
    requireEmptyArchive: true,
    tags: {},
    ...change,
  };
}
