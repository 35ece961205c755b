import { readFile } from "node:fs/promises";

/** One section of a page that people follow: its heading, and its shell commands in order. */
export interface PageSection {
  readonly heading: string;
  readonly commands: readonly string[];
}

/** The blocks fenced with `sh`, by section: what a reader would paste into a shell. */
export async function readShellCommands(page: URL): Promise<readonly PageSection[]> {
  const text = await readFile(page, "utf8");
  return text.split(/^(?=#{1,6} )/m).map((section) => ({
    heading: /^#+ (.*)$/m.exec(section)?.[1] ?? "",
    commands: [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? ""),
  }));
}
