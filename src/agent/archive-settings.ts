import type { Settings } from "../postgres/settings-file.ts";

/** What postgresql.conf needs so that PostgreSQL archives through an agent; `archiveCommand` as `archiveCommandLine` has it. */
export function archiveSettings(archiveCommand: string): Settings {
  return {
    archive_mode: "on",
    archive_command: archiveCommand,
    // A quiet server would otherwise keep its last changes in an unfinished segment for ever.
    archive_timeout: "60",
  };
}
