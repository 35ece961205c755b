import { join, resolve } from "node:path";

/** Everything of one instance lies in one folder, which belongs to the user that PostgreSQL runs as. */
export interface InstanceFolder {
  readonly root: string;
  /** `instance.json`: what it is to be (`instance-spec.ts`); written by whoever owns the instance. */
  readonly spec: string;
  /** `process.json`: which process serves the folder, and its socket; written by that process. */
  readonly process: string;
  /** PostgreSQL's data directory. */
  readonly data: string;
  /** The agent's spool. */
  readonly spool: string;
  /** postgresql.conf, pg_hba.conf and pg_ident.conf, written from the specification; what the data directory holds of them is not read. */
  readonly configuration: string;
  /** A file for each base backup that was asked for and has not been forgotten. */
  readonly backups: string;
  /** Directories of tablespaces. */
  readonly tablespaces: string;
  /** What PostgreSQL says, and what the instance's process says. */
  readonly serverLog: string;
  readonly processLog: string;
}

export function instanceFolder(path: string): InstanceFolder {
  const root = resolve(path);
  return {
    root,
    spec: join(root, "instance.json"),
    process: join(root, "process.json"),
    data: join(root, "data"),
    spool: join(root, "spool"),
    configuration: join(root, "configuration"),
    backups: join(root, "backups"),
    tablespaces: join(root, "tablespaces"),
    serverLog: join(root, "postgres.log"),
    processLog: join(root, "instance.log"),
  };
}
