import type { BenchCluster } from "../data/cluster.ts";
import type { ControlGroup } from "../measure/control-group.ts";
import type { CommandLine, Resident } from "../measure/program.ts";
import type { Workspace } from "../workspace.ts";
import type { S3Server } from "../s3/server.ts";
import type { Lsn } from "../../src/postgres/lsn.ts";

/** What a contender is measured in. Where it would only repeat another's reading, it is left out. */
export type Ability = "archive" | "idle" | "backup" | "copies" | "restore" | "replay" | "help";

/** One program in one configuration. */
export interface Contender {
  /** Stable, for JSON and `--contenders`: `tidemark-dir-zstd`. */
  readonly id: string;
  /** For tables: `Tidemark, zstd`. */
  readonly title: string;
  readonly store: "directory" | "s3";
  /** Contenders are compared with those of the same store. */
  readonly ours: boolean;
  readonly abilities: ReadonlySet<Ability>;
  /** Takes a second per segment and minutes per backup: gets a smaller share of the work. */
  readonly slow: boolean;
  readonly help: CommandLine;
  /** Makes an empty repository for the server, ready for WAL. */
  open(place: Place): Promise<OpenRepository>;
}

/** Where and for which server. */
export interface Place {
  readonly workspace: Workspace;
  readonly cluster: BenchCluster;
  readonly s3: S3Server | undefined;
  readonly group: ControlGroup | undefined;
}

export interface OpenRepository extends AsyncDisposable {
  /** Starts what must run beside the server for the archive command to work; undefined when nothing must. */
  startResident(): Promise<Resident | undefined>;
  /** After `startResident`. */
  archiveCommand(): Promise<string>;
  readonly backup: CommandLine;
  /**
   * Restores the only backup into an absent or empty directory and writes the recovery settings: replay to `target`, then
   * pause.
   */
  restore(directory: string, target: Lsn): Promise<RestoreCommand>;
  storedBytes(): Promise<number>;
}

/** A tool that leaves the start to the operator, or starts the server itself and returns when it pauses. */
export type RestoreCommand =
  | {
      readonly kind: "restore";
      readonly command: CommandLine;
      /** What remains to be done before the server can start; not measured. */
      afterwards?(): Promise<void>;
      /** Environment of the restored server, for its restore_command. */
      readonly serverEnvironment?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "restore-and-start"; readonly command: CommandLine };
