import { EngineError } from "../common/errors.ts";

/** What differs between the major versions of PostgreSQL that we handle, as far as more than one file needs it. */
export interface MajorFacts {
  /** `xlp_magic` of every WAL page (`XLOG_PAGE_MAGIC` in xlog_internal.h). */
  readonly walPageMagic: number;
  /** `PG_CONTROL_VERSION` (pg_control.h). */
  readonly controlVersion: number;
  /** `CATALOG_VERSION_NO` (catversion.h) of the released versions; it names the tablespace subdirectories. */
  readonly catalogVersion: number;
  /** SQL functions of a base backup; before 15 they took part in the exclusive mode and had other names. */
  readonly backupStartFunction: "pg_start_backup" | "pg_backup_start";
  readonly backupStopFunction: "pg_stop_backup" | "pg_backup_stop";
  /** Whether `archive_library` exists as the alternative to `archive_command`. */
  readonly hasArchiveLibrary: boolean;
  /** Whether the server can summarize WAL, and so take incremental backups. */
  readonly hasWalSummaries: boolean;
  /** Whether `initdb` turns data checksums on unless told otherwise. */
  readonly checksumsByDefault: boolean;
}

const until14 = {
  backupStartFunction: "pg_start_backup",
  backupStopFunction: "pg_stop_backup",
  hasArchiveLibrary: false,
  hasWalSummaries: false,
  checksumsByDefault: false,
} as const;

const from15 = {
  ...until14,
  backupStartFunction: "pg_backup_start",
  backupStopFunction: "pg_backup_stop",
  hasArchiveLibrary: true,
} as const;

const from17 = { ...from15, hasWalSummaries: true } as const;

/** The facts of each supported major version. The numbers were read from real servers (see majors.test.ts). */
export const majorFacts = {
  13: { ...until14, walPageMagic: 0xd106, controlVersion: 1300, catalogVersion: 202007201 },
  14: { ...until14, walPageMagic: 0xd10d, controlVersion: 1300, catalogVersion: 202107181 },
  15: { ...from15, walPageMagic: 0xd110, controlVersion: 1300, catalogVersion: 202209061 },
  16: { ...from15, walPageMagic: 0xd113, controlVersion: 1300, catalogVersion: 202307071 },
  17: { ...from17, walPageMagic: 0xd116, controlVersion: 1700, catalogVersion: 202406281 },
  18: {
    ...from17,
    checksumsByDefault: true,
    walPageMagic: 0xd118,
    controlVersion: 1800,
    catalogVersion: 202506291,
  },
} as const satisfies Readonly<Record<number, MajorFacts>>;

export type PostgresMajor = keyof typeof majorFacts;

/** The supported major versions, oldest first. */
export const supportedMajors: readonly PostgresMajor[] = [13, 14, 15, 16, 17, 18];

export function isSupportedMajor(major: number): major is PostgresMajor {
  return major in majorFacts;
}

/** The major version whose facts satisfy `matches`; undefined when it is none that we handle. */
export function findMajor(matches: (facts: MajorFacts) => boolean): PostgresMajor | undefined {
  return supportedMajors.find((major) => matches(majorFacts[major]));
}

/**
 * Reads the major version from a `PG_VERSION` file (`16\n`), or from what `server_version` and `postgres --version` say
 * (`16.14`, `postgres (PostgreSQL) 16.14 (Debian …)`). Throws `postgres-missing` when it is none that we handle.
 */
export function parsePostgresMajor(text: string): PostgresMajor {
  const major = Number(/(?:^|\(PostgreSQL\) )(\d+)/.exec(text.trim())?.[1]);
  if (!isSupportedMajor(major)) {
    throw new EngineError("postgres-missing", `"${text.trim()}" is not a supported version of PostgreSQL`, {
      hint: `Use PostgreSQL ${supportedMajors[0]} to ${supportedMajors.at(-1)}.`,
    });
  }
  return major;
}
