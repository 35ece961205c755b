import { createHash } from "node:crypto";
import { readFile, readdir, readlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { mapConcurrent } from "../../src/common/concurrency.ts";
import { tidemark, type ProgramOptions } from "./programs.ts";

/** How texts that differ from run to run are written in a transcript: a path or pattern, and what stands for it. */
export type Replacements = readonly (readonly [string | RegExp, string])[];

/**
 * Runs command lines as a person types them (`base list --server "my server"`; `<name>` of a replacement is put in for) and
 * gives what they answer: exit status, then stderr. Results on stdout do not matter here.
 */
export async function transcript(
  commands: readonly string[],
  replacements: Replacements,
  options: ProgramOptions = {},
): Promise<string> {
  const answers = await mapConcurrent(commands, 3, async (command) => {
    const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
    const result = await tidemark(
      args.map((arg) => fillIn(arg, replacements)),
      options,
    );
    return `${`$ tidemark ${command}`.trimEnd()}\nexit ${result.code}\n${replaceAll(result.stderr, replacements)}`;
  });
  return answers.join("\n").trimEnd();
}

function fillIn(arg: string, replacements: Replacements): string {
  return replacements.reduce(
    (text, [from, to]) => (typeof from === "string" ? text.replaceAll(to, from) : text),
    arg,
  );
}

function replaceAll(text: string, replacements: Replacements): string {
  return replacements.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

/** Everything below a directory, by path: content digests of files, targets of links. To see that nothing changed. */
export async function readTree(root: string): Promise<Readonly<Record<string, string>>> {
  const tree: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    tree[relative(root, path)] = entry.isFile()
      ? createHash("sha256")
          .update(await readFile(path))
          .digest("hex")
      : entry.isSymbolicLink()
        ? `-> ${await readlink(path)}`
        : "other";
  }
  return tree;
}
