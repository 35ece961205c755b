import { join } from "node:path";
import { prefetchRootOf, quoteForCommandSetting, quoteForShell } from "../../agent/shell-text.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import { configurationFiles } from "./configuration-files.ts";

/*
 * Where a standby gets WAL that its primary does not send: first what was rescued from a primary that is gone, then its cluster's
 * archive.
 *
 * PostgreSQL asks here first, before its own `pg_wal` and its primary (`WaitForWALToBecomeAvailable`, xlogrecovery.c), which
 * is faster: a standby that was restarted and had all of it from the archive would hardly reach a primary that writes. So a
 * segment is refused when it is asked for first. When it is asked for again, neither has it: from then on the archive is asked,
 * until it has no more, or the primary's turn comes again.
 *
 * The instance's process fetches ahead (`standby-prefetch.ts`), so that a segment costs a rename; without it a program is started
 * for each, some 0.4 s.
 *
 * Whatever goes wrong is a "no" too. Above 125 a status stops the server, which here would end a standby because a store cannot be
 * reached. It promotes nobody: a standby asks again and again, until it is told to take over.
 *
 * Timelines are its primary's alone, which sends their histories: in the archive may lie those of a server that somebody promoted
 * beside it, and a standby would follow the newest of them.
 */

/** The value for `restore_command`; it stays the same when the program moves or the archive changes. */
export function standbyRestoreCommand(folder: InstanceFolder): string {
  const script = quoteForCommandSetting(configurationFiles(folder).restoreScript);
  return `/bin/sh ${script} "%p" %f || exit 1`;
}

/** Where WAL that was rescued lies, each file under its own name. */
export function rescuedFolder({ root }: InstanceFolder): string {
  return join(root, "rescued");
}

/** What the standby was refused and may have the next time, or how many segments it has had in a row; gone when the server starts. */
export function askedFile({ root }: InstanceFolder): string {
  return join(root, "restore-asked");
}

/** So many segments in a row, and the primary is tried again: five seconds are lost where it does not have them. */
const mostInARow = 32;

/** While a store does not answer, the standby does not ask its primary. */
const fetchLimitSeconds = 30;

/** The command line that fetches a WAL file for a standby; the file's name and destination are added. */
export function standbyFetchCommand(program: readonly string[], folder: InstanceFolder): readonly string[] {
  return [...program, "wal", "fetch", "--config", configurationFiles(folder).standby];
}

/** `restore.sh PATH NAME`: exits 0 with the file in place. */
export function restoreScript(folder: InstanceFolder, program: readonly string[]): string {
  const files = configurationFiles(folder);
  const rescued = quoteForShell(rescuedFolder(folder));
  const configuration = quoteForShell(files.standby);
  const prefetched = quoteForShell(join(prefetchRootOf(folder.data), "restore.sh"));
  const fetch = standbyFetchCommand(program, folder).map(quoteForShell).join(" ");
  return `#!/bin/sh
# Written by Tidemark; changes are lost. Brings a standby one WAL file, if it can be had: PATH NAME.
if test -f ${rescued}/"$2"; then
  cp ${rescued}/"$2" "$1"
  exit
fi
case $2 in *.history) exit 1 ;; esac
test -r ${configuration} || exit 1
asked=${quoteForShell(askedFile(folder))}
refuse() {
  names=$(grep -v row "$asked" | grep -vxF "$1" | tail -n 9)
  printf '%s\\n' $names "$1" >"$asked"
  exit 1
}
row=0
if read -r word count <"$asked" && test "$word" = row && test "$count" -lt ${mostInARow}; then
  row=$count
elif ! grep -qxF "$2" "$asked"; then
  refuse "$2"
fi 2>/dev/null
if limit=$(command -v timeout); then limit="$limit ${fetchLimitSeconds}"; fi
bring() {
  if test -r ${prefetched}; then $limit /bin/sh ${prefetched} "$1" "$2"
  else $limit ${fetch} "$2" "$1"
  fi
}
if bring "$1" "$2"; then
  echo "row $((row + 1))" >"$asked"
  exit 0
fi
refuse "$2" 2>/dev/null
`;
}
