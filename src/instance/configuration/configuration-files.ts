import { join } from "node:path";
import type { InstanceFolder } from "../instance-folder.ts";

/** The files in an instance's folder `configuration`; all are written by its process, mode 0600. */
export interface ConfigurationFiles {
  readonly server: string;
  readonly hba: string;
  readonly ident: string;
  /** While it is there, WAL is not archived: `archive_command` says yes to everything. */
  readonly archivingOff: string;
  /** For `tidemark wal push`, run by `archive_command` when the instance's process is not there. */
  readonly archive: string;
  /** For `tidemark wal fetch`, run by the `restore_command` of a recovery that lost its process. */
  readonly recovery: string;
  /** The same for a standby that does not stream: from its cluster's own archive. */
  readonly standby: string;
  /** What `restore_command` runs on a standby. */
  readonly restoreScript: string;
}

export function configurationFiles({ configuration }: InstanceFolder): ConfigurationFiles {
  return {
    server: join(configuration, "postgresql.conf"),
    hba: join(configuration, "pg_hba.conf"),
    ident: join(configuration, "pg_ident.conf"),
    archivingOff: join(configuration, "archiving-is-off"),
    archive: join(configuration, "archive.json"),
    recovery: join(configuration, "recovery.json"),
    standby: join(configuration, "standby.json"),
    restoreScript: join(configuration, "restore.sh"),
  };
}
