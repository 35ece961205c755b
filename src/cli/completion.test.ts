import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { completionScript } from "./completion.ts";
import { createProgram } from "./program.ts";

const program = createProgram(new AbortController().signal);

/** What bash offers behind these words, asked as its own completion asks. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const script = `${completionScript(program, "bash")}
COMP_WORDS=(tidemark ${words.map((word) => `"${word}"`).join(" ")})
COMP_CWORD=${words.length}
_tidemark
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)("bash", ["--norc", "-c", script]);
  return stdout.split("\n").filter((line) => line !== "");
}

test("bash offers commands, commands of a command, and flags", async () => {
  expect(await offered("re")).toEqual(["restore"]);
  expect(await offered("base", "li")).toEqual(["list"]);
  expect(await offered("restore", "pg", "--ti")).toEqual(["--timeline"]);
  expect(await offered("base", "create", "--comp")).toEqual(["--compression"]);
  expect(await offered("")).toEqual(expect.arrayContaining(["up", "lint", "--version"]));
});

test("nothing is offered where nothing is known, so that the shell offers files", async () => {
  expect(await offered("psql", "something")).toEqual([]);
});

test("every command is in the scripts of all shells", () => {
  const names = program.commands.map((command) => command.name());

  for (const shell of ["bash", "zsh", "fish"] as const) {
    const script = completionScript(program, shell);
    expect(names.filter((name) => !script.includes(name))).toEqual([]);
  }
});
