import { Option, type Command } from "commander";
import { addExamples } from "./options.ts";

/** Commands that look whether things are as Tidemark needs them, and change nothing. */
export function addCheckCommands(program: Command, signal: AbortSignal): void {
  const check = program
    .command("check")
    .description("find out whether what Tidemark relies on can be relied on");

  const store = check
    .command("store")
    .argument(
      "[store]",
      "a store's URL, or the name of a repository in the configuration (default: all of them)",
    )
    .description(
      "write, list, read and delete below a scratch prefix, and say what the store can and cannot do and what Tidemark does about it; nothing else is touched, and nothing stays",
    )
    .option("-c, --config <file>", "configuration file (or TIDEMARK_CONFIG)")
    .option("--endpoint-url <url>", "S3 endpoint other than AWS")
    .option("--region <name>", "S3 region")
    .option("--path-style", "S3: bucket in the path instead of the host name")
    .option("--ca-file <file>", "PEM file of the certificate authority to trust")
    .addOption(new Option("-o, --output <format>", "text or json").default("text"))
    .action(async (store: string | undefined, options) =>
      (await import("./commands/check-store.ts")).run(store, options, signal),
    );
  addExamples(store, [
    ["a bucket at AWS, with the role of this machine", "tidemark check store s3://my-bucket/postgres"],
    [
      "another server",
      "tidemark check store 's3://my-bucket/postgres?endpoint=https://s3.example.org&region=eu-1'",
    ],
    [
      "every repository, with its settings and credentials",
      "tidemark check store --config /etc/tidemark.yaml",
    ],
    ["one of them", "tidemark check store offsite --config /etc/tidemark.yaml"],
  ]);
}
