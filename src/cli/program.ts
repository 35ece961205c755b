import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { addCheckCommands } from "./check-program.ts";
import { addControlCommands } from "./control-commands.ts";
import { addControlPlaneCommands } from "./control-program.ts";
import { addKeyCommands } from "./key-program.ts";
import { addDirectoryRestoreOptions } from "./restore-options.ts";
import { addExamples, addRepositoryOptions, addServerOptions, collect } from "./options.ts";

/**
 * Every command with its options and help. The code behind a command is imported only when it runs, so that `--help`
 * and the fallback of `archive_command` start fast.
 */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command("tidemark")
    .description(
      "PostgreSQL backup and point-in-time recovery.\nA base backup is a photo. WAL is the film. You need both.",
    )
    .version(packageVersion(), "-V, --version")
    .exitOverride()
    // Reported with all other failures, in text or JSON.
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: false });

  program
    .command("demo")
    .description("the whole story on this machine: photo, film, accident, rescue")
    .option("--keep", "leave server and repository for playing with, and say where they are")
    .option("--major <number>", "PostgreSQL major version (default: the newest found)")
    .option("--bin-directory <dir>", "where initdb and postgres are")
    .action(async (options) => (await import("./commands/demo.ts")).run(options, signal));

  const wal = program.command("wal").description("the WAL archive, directly");
  addWalCommands(wal, signal);
  addPrefetchCommand(wal, signal);
  addAgentCommands(program, signal);
  const base = program.command("base").description("base backups, directly");
  addBaseCommands(base, signal);
  addRestoreCommand(base, signal);
  addCheckCommands(program, signal);
  addKeyCommands(program, signal);
  addHealCommands(program, signal);
  addManifestCommands(program);
  addControlPlaneCommands(program, signal);
  addControlCommands(program, signal);
  addInstanceCommands(program, signal);
  addServerCommands(program, signal);
  addCompletionCommand(program);
  for (const command of program.commands) for (const at of [command, ...command.commands]) at.exitOverride();
  return program;
}

function addWalCommands(wal: Command, signal: AbortSignal): void {
  const push = wal
    .command("push")
    .argument("<path>", "the file to archive: %p of archive_command")
    .description("archive one WAL file in every repository, and return when it is durable there")
    .addOption(new Option("--compression <codec>", "codec for stored WAL (default: zstd)"))
    .option("--level <number>", "compression level of that codec")
    .option("--spool <dir>", "the agent's spool directory (default: beside the data directory)")
    .action(async (path: string, options) =>
      (await import("./commands/wal-push.ts")).run(path, options, signal),
    );
  addServerOptions(addRepositoryOptions(push));
  addExamples(push, [
    [
      "as archive_command, without an agent",
      `archive_command = 'tidemark wal push %p --config /etc/tidemark.yaml'`,
    ],
    ["by hand", "tidemark wal push pg_wal/000000010000000000000003 --repo /srv/backup --server main"],
  ]);

  const fetch = wal
    .command("fetch")
    .argument("<name>", "name of the WAL file: %f of restore_command")
    .argument("<destination>", "path to write: %p of restore_command")
    .addOption(new Option("--prefetch <dir>", "fetch ahead for the server in this data directory").hideHelp())
    .option("--partial", "deliver a .partial segment when there is no whole one")
    .description("fetch one WAL file; exits 0 delivered, 1 absent for certain, 150 could not tell")
    .action(async (name: string, destination: string, options) =>
      (await import("./commands/wal-fetch.ts")).run(name, destination, options, signal),
    );
  addRepositoryOptions(fetch);
  addExamples(fetch, [
    ["as restore_command", `restore_command = 'tidemark wal fetch %f %p --config /etc/tidemark.yaml'`],
  ]);
}

/** Started by `wal fetch --prefetch` behind PostgreSQL's back; nobody types it. */
function addPrefetchCommand(wal: Command, signal: AbortSignal): void {
  const prefetch = wal
    .command("prefetch", { hidden: true })
    .argument("<directory>", "data directory of a server in recovery")
    .description("fetch WAL ahead for a server in recovery, until it is over or nothing is asked for 30 s")
    .action(async (directory: string, options) =>
      (await import("./commands/wal-prefetch.ts")).run(directory, options, signal),
    );
  addRepositoryOptions(prefetch);
}

function addAgentCommands(program: Command, signal: AbortSignal): void {
  const agent = program
    .command("agent")
    .description("run beside one PostgreSQL and archive its WAL as it appears")
    .option("--spool <dir>", "where acknowledgements are kept (default: beside the data directory)")
    .option("--compression <codec>", "codec for stored WAL (default: zstd)")
    .option("--level <number>", "compression level of that codec")
    .option("--concurrency <number>", "segments in flight (default: the number of cores, at least 2)")
    .action(async (options) => (await import("./commands/agent.ts")).run(options, signal));
  addServerOptions(addRepositoryOptions(agent));
  addExamples(agent, [
    [
      "beside a server",
      "tidemark agent -D /var/lib/postgresql/15/main --repo s3://bucket/path --server main",
    ],
    [
      "the lines for postgresql.conf",
      "tidemark agent settings -D /var/lib/postgresql/15/main --config /etc/tidemark.yaml",
    ],
  ]);

  const status = agent
    .command("status")
    .description("what waits to be archived, for how long, and how long until the disk is full")
    .option("--spool <dir>", "the agent's spool directory")
    .action(async (_options, command: Command) =>
      (await import("./commands/agent-status.ts")).run(command.optsWithGlobals()),
    );
  addServerOptions(addRepositoryOptions(status));

  const settings = agent
    .command("settings")
    .description("print the archiving settings for postgresql.conf")
    .option("--spool <dir>", "the agent's spool directory")
    .action(async (_options, command: Command) =>
      (await import("./commands/agent-settings.ts")).run(command.optsWithGlobals()),
    );
  addServerOptions(addRepositoryOptions(settings));
}

function addBaseCommands(base: Command, signal: AbortSignal): void {
  const create = base
    .command("create")
    .description("take a base backup; done means its WAL is archived too")
    .option("--name <text>", "a name for the backup")
    .option("--tag <key=value>", "a tag; repeatable", collect)
    .option(
      "--compression <codec>",
      "codec of the archives (default: zstd; gzip and none are readable by Barman)",
    )
    .option("--level <number>", "compression level of that codec")
    .option("--concurrency <number>", "parts compressed at the same time (default: cores + 1, at most 8)")
    .option("--max-part-size <size>", "start a new part beyond this size (default: 1GiB)")
    .option("--spread-checkpoint", "let PostgreSQL spread the first checkpoint instead of forcing it at once")
    .option("--spool <dir>", "the agent's spool directory (default: beside the data directory)")
    .option(
      "--wal-timeout <seconds>",
      "how long the archive may make no progress towards the last WAL segment needed (default: 600)",
    )
    .option("--primary-connection <url>", "when backing up a standby: the primary, to switch WAL there")
    .action(async (options) => (await import("./commands/base-create.ts")).run(options, signal));
  addServerOptions(addRepositoryOptions(create));
  addExamples(create, [
    ["from a running server", "tidemark base create --repo /srv/backup --server main --name before-upgrade"],
  ]);

  const list = base
    .command("list")
    .description("the backups of a repository, oldest first")
    .action(async (options) => (await import("./commands/base-list.ts")).run(options, signal));
  addRepositoryOptions(list);

  const show = base
    .command("show")
    .argument("<backup>", "backup ID, name, or latest")
    .description("everything known about one backup")
    .action(async (backup: string, options) =>
      (await import("./commands/base-show.ts")).run(backup, options, signal),
    );
  addRepositoryOptions(show);

  const remove = base
    .command("delete")
    .argument("[backup]", "backup ID or name")
    .option("--incomplete", "delete what killed and failed backups left behind")
    .option("--dry-run", "print the plan and stop")
    .option("--force", "delete even the last good backup")
    .option("-y, --yes", "do not ask")
    .description("delete a backup and the WAL that only it needs")
    .action(async (backup: string | undefined, options) =>
      (await import("./commands/base-delete.ts")).run(backup, options, signal),
    );
  addRepositoryOptions(remove);
  addExamples(remove, [
    ["see first", "tidemark base delete 20261121T090727 --dry-run --repo /srv/backup --server main"],
  ]);

  const keep = base
    .command("keep")
    .argument("<backup>", "backup ID, name, or latest")
    .option(
      "--target <full|standalone>",
      "full keeps all later WAL too; standalone only the backup's own",
      "full",
    )
    .option("--release", "remove the keep mark")
    .description("protect a backup from deletion and retention")
    .action(async (backup: string, options) =>
      (await import("./commands/base-keep.ts")).run(backup, options, signal),
    );
  addRepositoryOptions(keep);
}

function addRestoreCommand(base: Command, signal: AbortSignal): void {
  const restore = addDirectoryRestoreOptions(
    base
      .command("restore")
      .argument("<directory>", "the new data directory; absent or empty")
      .description("restore a server to a chosen moment, from the repository alone"),
  ).action(async (directory: string, options) =>
    (await import("./commands/base-restore.ts")).run(directory, options, signal),
  );
  addExamples(restore, [
    [
      "the second before the accident",
      `tidemark base restore /srv/restored --to-time '2026-11-21 14:29:59+00' --repo /srv/backup --server main --start`,
    ],
    ["only look", "tidemark base restore /srv/restored --to-latest --dry-run --config /etc/tidemark.yaml"],
  ]);
}

function addHealCommands(program: Command, signal: AbortSignal): void {
  const heal = program
    .command("heal")
    .description("copy to each repository what it lacks or has damaged, from another one of the same server")
    .option("--dry-run", "print the plan and stop")
    .option("--check-data", "read every object to find damage that does not show otherwise")
    .option("--repository <name>", "put only this one right; repeatable", collect)
    .action(async (options) => (await import("./commands/heal.ts")).run(options, signal));
  addRepositoryOptions(heal);
  addExamples(heal, [
    ["only look", "tidemark heal --config /etc/tidemark.yaml --dry-run"],
    ["find hidden damage too", "tidemark heal --config /etc/tidemark.yaml --check-data"],
  ]);

  const copy = program
    .command("copy")
    .argument("<from>", "repository to copy from: a name in the configuration, or a URL")
    .argument("<to>", "repository to fill: a name in the configuration, or a URL")
    .description(
      "fill a repository with the backups of another one and their WAL up to now; run again, it goes on",
    )
    .option("--backup <backup>", "backup ID, name, latest, or all", "all")
    .option("--to-server <name>", "server name in the target, if it is another one")
    .option("--dry-run", "print the plan and stop")
    .option("-y, --yes", "do not ask")
    .action(async (from: string, to: string, options) =>
      (await import("./commands/copy.ts")).run(from, to, options, signal),
    );
  addRepositoryOptions(copy);
  addExamples(copy, [
    ["into a new bucket", "tidemark copy /srv/backup s3://bucket/path --server main"],
    ["the newest backup only", "tidemark copy main offsite --backup latest --config /etc/tidemark.yaml"],
  ]);
}

function addManifestCommands(program: Command): void {
  const lint = program
    .command("lint")
    .description("say what CloudNativePG manifests really do, and what they meant")
    .option("-f, --file <path>", "a file, a directory, or - for standard input; repeatable", collect)
    .option("--fix", "write corrected manifests (comments and order are kept)")
    .option("--ignore <rule>", "leave a rule out; repeatable", collect)
    .option("--warnings-as-errors", "fail on warnings too")
    .option("--rules", "list all rules, then stop")
    .option("--explain <rule>", "what a rule is about, then stop")
    .addOption(new Option("-o, --output <format>", "text, json or sarif").default("text"))
    .action(async (options) => (await import("./commands/lint.ts")).run(options));
  addExamples(lint, [
    ["a directory of manifests", "tidemark lint -f manifests/"],
    ["correct what can be corrected", "tidemark lint -f manifests/ --fix"],
    ["what a rule is about", "tidemark lint --explain five-field-schedule"],
    ["in CI", "tidemark lint -f manifests/ -o sarif"],
  ]);

  const schema = program
    .command("schema")
    .argument("[kind]", "Cluster, ObjectStore, Backup … (default: all)")
    .description("print the JSON Schema of manifests, for editors")
    .action(async (kind: string | undefined) => (await import("./commands/schema.ts")).run(kind));
  addExamples(schema, [["for one kind", "tidemark schema Cluster"]]);
}

function addInstanceCommands(program: Command, signal: AbortSignal): void {
  const instance = program
    .command("instance")
    .description("one PostgreSQL instance, as the control plane runs it: server, archiving, base backups");

  const run = instance
    .command("run")
    .argument("<folder>", "the instance's folder, which holds instance.json")
    .description(
      "make the data directory if there is none, run the server, and archive its WAL, until stopped; SIGTERM leaves the server running",
    )
    .addOption(new Option("--log-level <level>", "debug, info, warn or error"))
    .action(async (folder: string, options) =>
      (await import("./commands/instance.ts")).run(folder, options, signal),
    );
  addExamples(run, [
    ["in the foreground", "tidemark instance run /var/lib/tidemark/clusters/default/pg/instances/pg-1"],
  ]);

  const status = instance
    .command("status")
    .argument("<folder>", "the instance's folder")
    .description("how the server is, what waits to be archived, and which backups were asked for")
    .addOption(new Option("-o, --output <format>", "text or json").default("text"))
    .action(async (folder: string, options) =>
      (await import("./commands/instance.ts")).status(folder, options),
    );
  addExamples(status, [
    ["for programs", "tidemark instance status /var/lib/tidemark/clusters/default/pg/instances/pg-1 -o json"],
  ]);
}

function addServerCommands(program: Command, signal: AbortSignal): void {
  const server = program
    .command("server")
    .description("what the control plane runs beside a PostgreSQL that somebody else starts");

  const run = server
    .command("run")
    .argument("<folder>", "the server's folder, which holds server.json")
    .description("archive its WAL and take its base backups until stopped; PostgreSQL itself is left alone")
    .addOption(new Option("--log-level <level>", "debug, info, warn or error"))
    .action(async (folder: string, options) =>
      (await import("./commands/server.ts")).run(folder, options, signal),
    );
  addExamples(run, [["in the foreground", "tidemark server run /var/lib/tidemark/servers/default/main"]]);
}

function addCompletionCommand(program: Command): void {
  const completion = program
    .command("completion")
    .argument("<shell>", "bash, zsh or fish")
    .description("print a script with which a shell completes commands and flags")
    .action(async (shell: string) => (await import("./commands/completion.ts")).run(shell, program));
  addExamples(completion, [
    ["bash, in the running shell", 'eval "$(tidemark completion bash)"'],
    ["fish, for good", "tidemark completion fish > ~/.config/fish/completions/tidemark.fish"],
  ]);
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
