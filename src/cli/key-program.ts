import type { Command } from "commander";
import { addExamples, addRepositoryOptions, collect } from "./options.ts";

/** The commands for the keys of encrypted repositories. */
export function addKeyCommands(program: Command, signal: AbortSignal): void {
  const key = program.command("key").description("the keys of encrypted repositories");

  const init = key
    .command("init")
    .description("make the keys of a repository that holds nothing yet")
    .action(async (options) => (await import("./commands/key/init.ts")).run(options, signal));
  addTarget(addLock(init));
  addExamples(init, [
    [
      "for the operator's own identity",
      "tidemark key init --identity-file /etc/tidemark/identity.txt --repo /srv/backup --server main",
    ],
    [
      "for several people",
      "tidemark key init --recipients-file /etc/tidemark/recipients.txt --config /etc/tidemark.yaml",
    ],
  ]);

  const list = key
    .command("list")
    .description("the identities of a repository by their public keys, and who can open them")
    .action(async (options) => (await import("./commands/key/list.ts")).run(options, signal));
  addTarget(list);

  const add = key
    .command("add-recipient")
    .argument("[recipients...]", "age1…")
    .option("--recipients-file <file>", "recipients, one a line")
    .description("let somebody else open the repository as well")
    .action(async (recipients: string[], options) =>
      (await import("./commands/key/recipients.ts")).add(recipients, options, signal),
    );
  addTarget(add);

  const remove = key
    .command("remove-recipient")
    .argument("[recipients...]", "age1…")
    .option("--recipients-file <file>", "recipients, one a line")
    .description("do not lock the keys for somebody any more; the last one stays")
    .action(async (recipients: string[], options) =>
      (await import("./commands/key/recipients.ts")).remove(recipients, options, signal),
    );
  addTarget(remove);

  const rotate = key
    .command("rotate")
    .option("--new-identity", "begin a new key for new objects; older ones stay readable")
    .description("lock the keys for others or with another passphrase; writes one small object")
    .action(async (options) => (await import("./commands/key/rotate.ts")).run(options, signal));
  addTarget(addLock(rotate));
  addExamples(rotate, [
    ["for another identity", "tidemark key rotate --recipient age1… --config /etc/tidemark.yaml"],
    [
      "after somebody left who had the keys",
      "tidemark key rotate --new-identity --recipients-file /etc/tidemark/recipients.txt --config /etc/tidemark.yaml",
    ],
  ]);

  const exported = key
    .command("export")
    .option("--to <file>", "write them into a new file that only you can read")
    .option("--stdout", "print them")
    .description("a repository's identities for safe keeping: whoever has them can read everything")
    .action(async (options) => (await import("./commands/key/export.ts")).run(options, signal));
  addTarget(exported);
}

function addTarget(command: Command): Command {
  return addRepositoryOptions(
    command.option("--repository <name>", "which repository, where the configuration has several"),
  );
}

function addLock(command: Command): Command {
  return command
    .option("--recipient <age1…>", "lock the keys for this recipient; repeatable", collect)
    .option("--recipients-file <file>", "lock the keys for the recipients in a file, one a line")
    .option("--new-passphrase-file <file>", "lock the keys with the passphrase in a file");
}
