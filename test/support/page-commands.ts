import { readFile } from "node:fs/promises";

/** The blocks of a page that are fenced with `sh`, as one script: what a reader pastes into a shell, top to bottom. */
export async function readShellCommands(page: URL): Promise<string> {
  return (await readShellBlocks(page)).join("\n");
}

/** The same, block by block, without the indentation of lists. */
export async function readShellBlocks(page: URL): Promise<readonly string[]> {
  const text = await readFile(page, "utf8");
  return [...text.matchAll(/^( *)```sh\n(.*?)^\1```$/gms)].map(([, indent = "", block = ""]) =>
    block
      .split("\n")
      .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      .join("\n"),
  );
}
