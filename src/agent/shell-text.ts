import { join } from "node:path";
import { EngineError } from "../common/errors.ts";
import { readBootIdInShell } from "./ready-folder.ts";

/** Quotes text for a POSIX shell: it stays one word, whatever is in it. */
export function quoteForShell(text: string): string {
  if (text.includes("\0") || text.includes("\n")) {
    throw new EngineError("usage", `${JSON.stringify(text)} cannot stand in a command line`, {
      hint: "Use paths without line breaks.",
    });
  }
  return /^[\w/.,:=@+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The same for `archive_command` and `restore_command`, where PostgreSQL replaces `%p` and the like: `%` is doubled. */
export function quoteForCommandSetting(text: string): string {
  return quoteForShell(text).replaceAll("%", "%%");
}

/**
 * The value for `archive_command` (put it between quotes as postgresql.conf asks, or use ALTER SYSTEM): a test, by the
 * shell alone, for the agent's acknowledgement; else the script that waits for it.
 *
 * An acknowledgement counts only for a file that was last written in the second it names: older than `ack/NAME` and newer
 * than `since/NAME` (`ack.ts` gives both their time). A segment written again under the same name is newer, one of another
 * copy of the data directory, put back with its times, is older: then the question goes to the agent, which compares.
 * (`-e`, because to some shells any file is newer than one that does not exist.)
 */
export function archiveCommandLine(spoolRoot: string): string {
  const ack = quoteForCommandSetting(join(spoolRoot, "ack"));
  const since = quoteForCommandSetting(join(spoolRoot, "since"));
  const script = quoteForCommandSetting(join(spoolRoot, "archive.sh"));
  return `test -e ${since}/%f && test "%p" -nt ${since}/%f && test ${ack}/%f -nt "%p" || exec /bin/sh ${script} "%p" %f`;
}

/**
 * The value for `restore_command`: a rename of a file that was fetched ahead since the machine was started
 * (`ready-folder.ts`), complete and checked; else the script that waits for it. A script that is gone must not look like a file that is absent: the shell would say 2 or 127, and the first
 * means "end of archive" to PostgreSQL. `prefetchRoot` must be on the file system of pg_wal, or the rename is a copy (`prefetchRootOf`).
 */
export function restoreCommandLine(prefetchRoot: string): string {
  const ready = quoteForCommandSetting(join(prefetchRoot, "ready"));
  const script = quoteForCommandSetting(join(prefetchRoot, "restore.sh"));
  return `${readBootIdInShell} test -f ${ready}/"$boot"/%f && mv -f ${ready}/"$boot"/%f "%p" || { test -r ${script} || exit 150; exec /bin/sh ${script} "%p" %f; }`;
}

/** Where prefetched WAL lies: inside pg_wal, which PostgreSQL restores into, and whose other names it ignores. */
export function prefetchRootOf(dataDirectory: string): string {
  return join(dataDirectory, "pg_wal", ".tidemark-prefetch");
}
