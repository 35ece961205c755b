import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { CommanderError, type Command } from "commander";
import { describe, expect, test } from "vitest";
import { createProgram } from "../src/cli/program.ts";
import { parseTarget, type TargetOptions } from "../src/cli/restore-target.ts";
import { readShellBlocks } from "./support/page-commands.ts";

const root = join(import.meta.dirname, "..");
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  ...(await readdir(join(root, "docs"), { recursive: true }))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name))
    .toSorted(),
];

describe.each(pages)("%s", (page) => {
  test("names commands, arguments and flags that exist", async () => {
    const lines = commandLines(await readFile(join(root, page), "utf8"));

    const wrong = lines
      .map((line) => [line, problemWith(line)])
      .filter(([, problem]) => problem !== undefined);

    expect(wrong).toEqual([]);
  });

  test("runs npm scripts that exist, in its shell blocks", async () => {
    const blocks = (await readShellBlocks(new URL(`file://${join(root, page)}`))).join("\n");
    const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
      readonly scripts: Readonly<Record<string, string>>;
    };

    const named = [...blocks.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name);

    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  test("links to files that exist", async () => {
    const text = await readFile(join(root, page), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);

    const missing = await Promise.all(
      links.map(async (link) =>
        readFile(join(root, page, "..", link)).then(
          () => undefined,
          (error: NodeJS.ErrnoException) => (error.code === "EISDIR" ? undefined : link),
        ),
      ),
    );

    expect(missing.filter((link) => link !== undefined)).toEqual([]);
  });
});

test("command lines are found in blocks, in settings and in running text", () => {
  const text =
    "Use `tidemark base list`, or\n\n```\ntidemark base restore /new \\\n  --dry-run   # look\n" +
    "archive_command = 'tidemark wal push %p'\nExecStart=/usr/bin/tidemark agent --config /x\n```\n";

  expect(commandLines(text)).toEqual([
    "base restore /new --dry-run",
    "wal push %p",
    "agent --config /x",
    "base list",
  ]);
});

test.each([
  ["base crate", "unknown command 'crate'"],
  ["base list --rep /srv/backup", "unknown option '--rep'"],
  ["wal push one two", "too many arguments for 'push'"],
  ["base restore /new --to-time tomorrow", '"tomorrow" is not a time'],
])("a page that said `%s` would be caught", (line, problem) => {
  expect(problemWith(line)).toContain(problem);
});

/** What follows the word `tidemark` where it is written as a command: in blocks, and between backticks. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```\w*\n(.*?)^ *```$/gms)].flatMap(([, block = ""]) =>
    block.replaceAll(/\\\n\s*/g, "").split("\n"),
  );
  const inline = [...text.replaceAll(/^ *```\w*\n.*?^ *```$/gms, "").matchAll(/`([^`\n]+)`/g)].map(
    ([, code = ""]) => code,
  );
  return [...blocks, ...inline].flatMap((line) => {
    // The generated reference is compared elsewhere; its synopses are no command lines.
    if (line.startsWith("Usage: ")) return [];
    const [, rest = ""] = /(?:^|['"=/ ])tidemark (?:-- )?([a-z-].*)$/.exec(line) ?? [];
    // A setting's value ends with its quote; a comment and where the output goes are none of the command.
    const isSetting = /= '(?:\S*\/)?tidemark /.test(line);
    const words = (isSetting ? rest.replace(/'\s*$/, "") : rest).replace(/\s+[#>|].*$/, "");
    return words === "" ? [] : [words.trim()];
  });
}

/** Parses a line as the program would, without running it. */
function problemWith(line: string): string | undefined {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
  const program = createProgram(new AbortController().signal);
  let restored: TargetOptions | undefined;
  forEachCommand(program, (command) => {
    command.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
    // A group without its command is named in running text.
    if (command.commands.length > 0 && command.name() !== "agent") return;
    command.action(() => {
      if (command.name() === "restore") restored = command.opts<TargetOptions>();
    });
  });
  try {
    program.parse(words, { from: "user" });
    // A target that is written out must be one; a placeholder is in capitals.
    if (restored !== undefined && !/--to-\w+ [A-Z]+\b/.test(line)) parseTarget(restored);
    return undefined;
  } catch (error) {
    if (isMention(error)) return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Running text names a command without its arguments, and a group without its command. */
function isMention(error: unknown): boolean {
  return (
    error instanceof CommanderError &&
    (error.exitCode === 0 || ["commander.help", "commander.missingArgument"].includes(error.code))
  );
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) forEachCommand(child, visit);
}
