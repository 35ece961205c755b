import { Option, type Command } from "commander";
import { addExamples, collect } from "./options.ts";

/** Commands that speak with the control plane. */
export function addControlCommands(program: Command, signal: AbortSignal): void {
  addApplyCommand(program, signal);
  addGetCommand(program, signal);
  addDescribeCommand(program, signal);
  addDeleteCommand(program, signal);
  addEventsCommand(program, signal);
}

/** How the control plane is found; for all commands that speak with it. */
export function addControlOptions(command: Command): Command {
  return command
    .option("--socket <path>", "the control plane's socket (or TIDEMARK_SOCKET)")
    .option("--state <dir>", "the control plane's state directory (or TIDEMARK_STATE)");
}

function addNamespaceOption(command: Command): Command {
  return command.option("-n, --namespace <name>", 'namespace (default: "default")');
}

function addApplyCommand(program: Command, signal: AbortSignal): void {
  const apply = program
    .command("apply")
    .description("bring the control plane's objects to what manifests say, all or none")
    .option("-f, --file <path>", "a file, a directory, or - for standard input; repeatable", collect)
    .option("--dry-run [where]", "only say what would happen")
    .option("--diff", "show the fields that change; values of Secrets are never shown")
    .option("--ignore <rule>", "leave a lint rule out; repeatable", collect)
    .option("--ignore-unknown", "leave kinds out that are not known here, instead of refusing them")
    .addOption(new Option("-o, --output <format>", "text or json").default("text"))
    .action(async (options) => (await import("./commands/apply.ts")).run(options, signal));
  addControlOptions(addNamespaceOption(apply));
  addExamples(apply, [
    ["a directory of manifests", "tidemark apply -f manifests/"],
    ["what would change", "tidemark apply -f manifests/ --dry-run --diff"],
  ]);
}

function addGetCommand(program: Command, signal: AbortSignal): void {
  const get = program
    .command("get")
    .argument("<kind...>", "clusters, cluster pg, cluster/pg, clusters,backups, or all")
    .description("show objects of the control plane")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-l, --selector <selector>", "only those with these labels: a=b, a!=b, a, !a, 'a in (b,c)'")
    .option("-o, --output <format>", "wide, yaml, json, name or jsonpath='{…}'")
    .option("--sort-by <path>", "sort by the value at a path such as .status.stoppedAt")
    .option("-w, --watch", "go on showing what changes, until Ctrl-C")
    .option("--reveal", "show the values of Secrets")
    .action(async (words: string[], options) =>
      (await import("./commands/get.ts")).run(words, options, signal),
    );
  addControlOptions(addNamespaceOption(get));
  addExamples(get, [
    ["all clusters and how they are", "tidemark get clusters -A"],
    ["the phase of one", "tidemark get cluster pg -o jsonpath='{.status.phase}'"],
    ["a Secret with its values", "tidemark get secret s3-credentials -o yaml --reveal"],
  ]);
}

function addDescribeCommand(program: Command, signal: AbortSignal): void {
  const describe = program
    .command("describe")
    .argument("<kind...>", "cluster pg, cluster/pg, or backups")
    .description("show one object with its status, conditions and events")
    .option("-A, --all-namespaces", "of all namespaces")
    .action(async (words: string[], options) =>
      (await import("./commands/describe.ts")).run(words, options, signal),
    );
  addControlOptions(addNamespaceOption(describe));
  addExamples(describe, [["a cluster", "tidemark describe cluster pg"]]);
}

function addDeleteCommand(program: Command, signal: AbortSignal): void {
  const remove = program
    .command("delete")
    .argument("[kind...]", "cluster pg, or cluster/pg backup/daily")
    .description("delete objects, and what only they own; says first what goes, and asks")
    .option(
      "-f, --file <path>",
      "the objects of these manifests; a file, a directory or -; repeatable",
      collect,
    )
    .option("--dry-run", "only say what would go")
    .option("--purge", "of Backups: their data too, from every repository, with the WAL that only they need")
    .option("--force", "with --purge: also the last good backup of a repository")
    .option("--ignore-not-found", "objects that are not there are no error")
    .option("--no-wait", "do not wait until they are gone")
    .option("--timeout <seconds>", "how long to wait for each (default: 300)")
    .option("-y, --yes", "do not ask")
    .action(async (words: string[], options) =>
      (await import("./commands/delete.ts")).run(words, options, signal),
    );
  addControlOptions(addNamespaceOption(remove));
  addExamples(remove, [
    ["what a directory describes", "tidemark delete -f manifests/ --yes"],
    ["a backup with its data: look first", "tidemark delete backup pg-first --purge --dry-run"],
  ]);
}

function addEventsCommand(program: Command, signal: AbortSignal): void {
  const events = program
    .command("events")
    .description("what happened to objects, the latest last")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("--for <object>", "only of this one: cluster/pg")
    .option("-w, --watch", "go on showing what happens, until Ctrl-C")
    .addOption(new Option("-o, --output <format>", "text or json").default("text"))
    .action(async (options) => (await import("./commands/events.ts")).run(options, signal));
  addControlOptions(addNamespaceOption(events));
  addExamples(events, [["of one cluster, as they come", "tidemark events --for cluster/pg -w"]]);
}
