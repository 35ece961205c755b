import type { Command } from "commander";
import { addRepositoryOptions, collect } from "./options.ts";

/** What says to which moment, from where and how a repository's data are restored into a directory. */
export function addDirectoryRestoreOptions(command: Command): Command {
  return addRepositoryOptions(
    command
      .option("--to-latest", "to the end of the archive (default)")
      .option("--to-time <time>", "to the last moment at or before a time; without a zone it is read as UTC")
      .option("--to-lsn <lsn>", "to a WAL position")
      .option("--to-xid <xid>", "to a transaction")
      .option("--to-name <name>", "to a restore point")
      .option("--to-immediate", "only as far as the base backup needs")
      .option("--exclusive", "stop just before the target instead of just after it")
      .option("--timeline <id>", "follow this timeline (default: latest)")
      .option("--backup <backup>", "backup ID, name, latest or auto (default: auto)")
      .option("--tablespace <name=dir>", "put a tablespace elsewhere; repeatable", collect)
      .option("--dry-run", "print the plan and write nothing")
      .option(
        "--start",
        "start the server, wait for the end of recovery and check that the target was reached",
      )
      .option("--stop-after", "with --start: stop the server again afterwards")
      .option("--action <promote|pause|shutdown>", "what the server does at the target", "promote")
      .option(
        "--archiving <off|keep>",
        "archive_mode of the restored server: off, so that a copy never writes into its origin's archive, or as it was",
        "off",
      )
      .option("--concurrency <number>", "parts unpacked at the same time (default: cores + 1, at most 8)")
      .option("--bin-directory <dir>", "where the server programs are")
      .option("--clean", "remove what an unfinished restore left in the directory, then stop")
      .option("-y, --yes", "do not ask"),
  );
}
