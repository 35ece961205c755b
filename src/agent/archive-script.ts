import { readBootIdInShell } from "./ready-folder.ts";
import { quoteForShell } from "./shell-text.ts";

export interface WaitScriptOptions {
  /** The spool's root: absolute. */
  readonly root: string;
  /** The command line that does it without the agent; the script adds its own arguments at the end. */
  readonly fallbackCommand: readonly string[];
}

/**
 * How `wal fetch` says "absent" to the restore script. To anybody else it says 1, as `restore_command` must, but so does
 * Node when it cannot start (a missing file; 9 for NODE_OPTIONS it does not know): from a program that was started by us
 * only a number that nobody else uses is a certain answer.
 */
export const absentStatus = { variable: "TIDEMARK_ABSENT_STATUS", value: 81 } as const;

function fallback({ fallbackCommand }: WaitScriptOptions): string {
  return `${fallbackCommand.map(quoteForShell).join(" ")} "$@"`;
}

/**
 * Shared by both scripts; each defines what `run_without_agent` does. Only words of the shell itself, but for `sleep`: it runs once per WAL file, and a process more
 * costs more than the rest. Fractions of a second are no POSIX, hence the second try.
 *
 * `agent_is_dead` first asks for the process. Its number may have been given to another one since, or it may hang: a
 * living agent touches its file every second, so after a while that must be newer than our request.
 *
 * A request has content, which nobody reads: on a full disk an empty file can still be made, but the agent could not write
 * its answer, and archiving would wait for space that only archiving frees.
 */
function waitFunctions(options: WaitScriptOptions): string {
  return `spool=${quoteForShell(options.root)}
umask 077

agent_is_dead() {
  pid=
  { read -r pid <"$spool/agent.pid"; } 2>/dev/null
  case $pid in
    '' | *[!0-9]*) return 0 ;;
  esac
  { kill -0 "$pid" || test -d "/proc/$pid"; } 2>/dev/null || return 0
  test "$waited_ms" -ge 5000 && ! test "$spool/agent.pid" -nt "$want"
}

waited_ms=0
wait_a_little() {
  if test "$waited_ms" -lt 100; then nap=0.01 nap_ms=10
  elif test "$waited_ms" -lt 500; then nap=0.03 nap_ms=30
  else nap=0.1 nap_ms=100
  fi
  if sleep "$nap" 2>/dev/null; then waited_ms=$((waited_ms + nap_ms))
  else sleep 1; waited_ms=$((waited_ms + 1000))
  fi
}

announce() {
  { echo wanted >"$want"; } 2>/dev/null || run_without_agent "$@"
}
`;
}

/**
 * `archive.sh PATH NAME`: asks the agent for one WAL file and waits until it is acknowledged. Exits 0 only then; 1 with the
 * reason on stderr, which PostgreSQL logs, when the agent says so or 60 s have passed; PostgreSQL then asks again. Without
 * an agent it runs the fallback.
 */
export function archiveScript(options: WaitScriptOptions): string {
  return `#!/bin/sh
# Written by Tidemark; changes are lost. Asks the agent to archive one WAL file and waits: PATH NAME.
path=$1
name=$2
${waitFunctions(options)}
run_without_agent() {
  rm -f "$want"
  exec ${fallback(options)}
}

ack=$spool/ack/$name
since=$spool/since/$name
refused=$spool/refused/$name
want=$spool/want/$name

# What was refused before may be fine now.
if test -e "$refused"; then rm -f "$refused"; fi
announce "$path"
while :; do
  if test -e "$since" && test "$path" -nt "$since" && test "$ack" -nt "$path"; then exit 0; fi
  if test -e "$refused"; then
    cat "$refused" >&2
    exit 1
  fi
  if agent_is_dead; then run_without_agent "$path"; fi
  if test "$waited_ms" -ge 60000; then
    echo "tidemark: WAL file $name is not archived after 60 s; the agent goes on trying" >&2
    exit 1
  fi
  test -e "$want" || announce "$path"
  wait_a_little
done
`;
}

/**
 * `restore.sh PATH NAME`: asks the prefetcher for one WAL file and waits. Exits 0 with the file in place, 1 when it is
 * certainly not in the archive, 150 when nobody could tell: PostgreSQL stops recovery above 125, and takes anything less
 * for the end of the archive. (128 and more stand for signals, and 143, SIGTERM, would count as a shutdown.)
 */
export function restoreScript(options: WaitScriptOptions): string {
  return `#!/bin/sh
# Written by Tidemark; changes are lost. Asks for one WAL file and waits: PATH NAME.
path=$1
name=$2
# Whatever ends this script unforeseen (no memory for a process, say) must not look like "absent".
status=150
trap 'exit "$status"' 0
finish() {
  status=$1
  exit "$1"
}
${waitFunctions(options)}
run_without_agent() {
  rm -f "$want"
  ${absentStatus.variable}=${absentStatus.value} ${fallback(options)}
  case $? in
    0) finish 0 ;;
    ${absentStatus.value}) finish 1 ;;
    *) finish 150 ;;
  esac
}

${readBootIdInShell}
ready=$spool/ready/$boot/$name
absent=$spool/absent/$name
failed=$spool/failed/$name
want=$spool/want/$name

# Old answers do not count: what was absent may have been archived since.
if test -e "$absent" || test -e "$failed"; then rm -f "$absent" "$failed"; fi
announce "$name" "$path"
while :; do
  if test -f "$ready"; then
    mv -f "$ready" "$path" && finish 0
    test -f "$ready" && finish 150
  fi
  if test -e "$absent"; then
    rm -f "$absent"
    finish 1
  fi
  if test -e "$failed"; then
    cat "$failed" >&2
    finish 150
  fi
  if agent_is_dead; then run_without_agent "$name" "$path"; fi
  if test "$waited_ms" -ge 300000; then
    echo "tidemark: could not tell within 300 s whether WAL file $name is in the archive" >&2
    finish 150
  fi
  test -e "$want" || announce "$name" "$path"
  wait_a_little
done
`;
}
