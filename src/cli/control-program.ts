import { Option, type Command } from "commander";
import { addDirectoryRestoreOptions } from "./restore-options.ts";
import { addControlOptions } from "./control-commands.ts";
import { addExamples, collect } from "./options.ts";

/** Commands that start, end and use the control plane, beside those that work on objects. */
export function addControlPlaneCommands(program: Command, signal: AbortSignal): void {
  const up = program
    .command("up")
    .description("run clusters, schedules and backups as manifests say, on this machine")
    .option("-f, --file <path>", "a file, a directory, or - for standard input; repeatable", collect)
    .option("-n, --namespace <name>", "where objects go that name no namespace (default: default)")
    .option("--state <dir>", "where everything is kept (or TIDEMARK_STATE)")
    .option("-d, --detach", "run in the background")
    .option(
      "--settings <file>",
      "settings of the control plane: where the values of ExternalSecrets come from",
    )
    .option("--leave-running", "at the end leave the servers running and archiving")
    .option(
      "--listen <port>",
      "answer over HTTP too, on this port of 127.0.0.1; requests need the token in <state>/token",
    )
    .option("--ignore-unknown", "leave out objects of kinds that are not known")
    .addOption(new Option("--log-level <level>", "debug, info, warn or error"))
    .action(async (options) => (await import("./commands/up.ts")).run(options, signal));
  addExamples(up, [
    ["a PostgreSQL that is backed up, from nothing", "tidemark up -f examples/quickstart"],
    ["in the background", "tidemark up -f manifests/ --detach"],
    ["again, with everything that was there", "tidemark up"],
  ]);

  const down = addControlOptions(
    program
      .command("down")
      .description("end the control plane and stop what it runs; all data are kept")
      .option("--leave-running", "leave the servers running and archiving"),
  ).action(async (options) => (await import("./commands/down.ts")).run(options, signal));
  addExamples(down, [["stop everything", "tidemark down"]]);

  addUseCommands(program, signal);
}

function addUseCommands(program: Command, signal: AbortSignal): void {
  const status = addControlOptions(
    program
      .command("status")
      .argument("[cluster]", "its name, or server/NAME (default: all)")
      .description("am I safe: what can be restored, whether WAL is archived, what is wrong")
      .option("-n, --namespace <name>", "namespace of the cluster")
      .addOption(new Option("-o, --output <format>", "text or json").default("text")),
  ).action(async (cluster: string | undefined, options) =>
    (await import("./commands/status.ts")).run(cluster, options, signal),
  );
  addExamples(status, [
    ["all clusters and servers", "tidemark status"],
    ["for programs", "tidemark status pg -n production -o json"],
  ]);

  const backup = addControlOptions(
    program
      .command("backup")
      .argument("<cluster>", "its name, or server/NAME")
      .description("take a base backup of a cluster or server now, and wait for it")
      .option("-n, --namespace <name>", "namespace of the cluster", "default")
      .option("--backup-name <name>", "name of the Backup (default: the cluster's or server's, and the time)")
      .addOption(new Option("-t, --target <target>", "primary or prefer-standby (default: the cluster's)"))
      .option("--no-wait", "come back as soon as it has been asked for")
      .addOption(new Option("-o, --output <format>", "text or json").default("text")),
  ).action(async (cluster: string, options) =>
    (await import("./commands/backup.ts")).run(cluster, options, signal),
  );
  addExamples(backup, [
    ["before something dangerous", "tidemark backup pg -n production"],
    ["of a PostgreSQL that somebody else runs", "tidemark backup server/main"],
  ]);

  const restore = addControlOptions(
    program
      .command("restore")
      .argument("<cluster|directory>", "whose data, for a new cluster; or where to, from a repository")
      .description(
        "a cluster's data at a moment, as a new cluster (--to, --as); or a repository's into a directory, without a control plane",
      )
      .option("--to <moment>", "a cluster: latest, immediate, a time with its zone, an LSN, xid:… or name:…")
      .option("--as <name>", "a cluster: name of the new one")
      .option("-n, --namespace <name>", "a cluster: namespace of both (default: default)")
      .option("--no-wait", "a cluster: come back as soon as it has been asked for"),
  );
  addDirectoryRestoreOptions(restore).action(async (what: string, options) =>
    (await import("./commands/restore.ts")).run(what, options, signal),
  );
  addExamples(restore, [
    ["the second before the accident", "tidemark restore pg --to '2026-11-21 14:29:59+00' --as pg-rescued"],
    ["only look", "tidemark restore pg --to latest --as pg-copy --dry-run"],
    [
      "into a directory, from a repository",
      "tidemark restore /srv/restored --to-latest --repo /srv/backup --server main --start",
    ],
  ]);

  const promote = addControlOptions(
    program
      .command("promote")
      .argument("<cluster>", "which one")
      .argument("[instance]", "the standby that is to take over (default: the first one)")
      .description("make a standby the primary, in a planned switchover")
      .option("-n, --namespace <name>", "namespace of the cluster", "default")
      .option("--no-wait", "come back as soon as it has been asked for"),
  ).action(async (cluster: string, instance: string | undefined, options) =>
    (await import("./commands/promote.ts")).run(cluster, instance, options, signal),
  );
  addExamples(promote, [["the second instance takes over", "tidemark promote pg pg-2"]]);

  const psql = addControlOptions(
    program
      .command("psql")
      .argument("<cluster>", "which one")
      .argument("[arguments...]", "for psql, after --")
      .description("psql on a cluster's primary, as superuser")
      .option("-n, --namespace <name>", "namespace of the cluster", "default"),
  ).action(async (cluster: string, args: string[], options) =>
    (await import("./commands/psql.ts")).run(cluster, args, options, signal),
  );
  addExamples(psql, [["one statement", `tidemark psql pg -- -d app -c 'SELECT now()'`]]);

  const logs = addControlOptions(
    program
      .command("logs")
      .argument("<cluster>", "its name, or server/NAME for the agent beside a server")
      .description("what PostgreSQL has logged")
      .option("-n, --namespace <name>", "namespace of the cluster", "default")
      .option("-i, --instance <name>", "which instance (default: the first one)")
      .option("--process", "the log of the process beside PostgreSQL instead: archiving and backups")
      .option("--follow", "go on until stopped"),
  ).action(async (cluster: string, options) =>
    (await import("./commands/logs.ts")).run(cluster, options, signal),
  );
  addExamples(logs, [["as it goes on", "tidemark logs pg --follow"]]);
}
