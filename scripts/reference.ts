import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { errorCodes } from "../src/common/error-codes.ts";
import { allRules } from "../src/manifest/lint/all-rules.ts";
import { createProgram } from "../src/cli/program.ts";

/** The generated pages of docs/reference: path and text. `test/reference.test.ts` checks that they are up to date. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["docs/reference/error-codes.md", await errorCodePage()],
    ["docs/reference/command-line.md", commandLinePage()],
    ["docs/reference/lint-rules.md", await lintRulePage()],
  ]);
}

const owners = {
  operator: "yours to change",
  environment: "something around Tidemark",
  bug: "a bug in Tidemark",
};

/** The doc comment of a code in the source is its text here. */
async function errorCodePage(): Promise<string> {
  const source = await readFile(new URL("../src/common/error-codes.ts", import.meta.url), "utf8");
  const rows = Object.entries(errorCodes).map(([code, facts]) => {
    const comment = new RegExp(String.raw`/\*\* ([^\n]*?) \*/\n  "?${code}"?:`).exec(source)?.[1] ?? "";
    return `| \`${code}\` | ${facts.exit} | ${comment} | ${owners[facts.owner]} | ${facts.retryable ? "yes" : "no"} |`;
  });
  return `# Error codes and exit statuses

Generated from \`src/common/error-codes.ts\`. Success is 0. With \`-o json\` a failure is one JSON object on stderr:
\`{"error": {"code", "message", "hint", "details", "exitStatus"}}\`. Take any status you do not know for a failure.

\`tidemark wal fetch\` is read by PostgreSQL and has statuses of its own: 0 delivered, 1 absent for certain, 150 could not
tell (PostgreSQL stops instead of ending recovery).

| code | exit | means | whose problem | may help to try again |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function commandLinePage(): string {
  const sections: string[] = [];
  const visit = (command: Command, path: string): void => {
    let text = "";
    command.configureHelp({ helpWidth: 110 }).configureOutput({ writeOut: (chunk) => (text += chunk) });
    command.outputHelp();
    sections.push(`## ${path}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`);
    for (const child of command.commands) visit(child, `${path} ${child.name()}`);
  };
  visit(createProgram(new AbortController().signal), "tidemark");
  return `# Command line\n\nGenerated from \`--help\`.\n\n${sections.join("\n")}`;
}

async function lintRulePage(): Promise<string> {
  const sections = await Promise.all(
    allRules.map(async ({ id, severity, summary, explanation }) => {
      const example = async (name: string): Promise<string> =>
        `\`\`\`yaml\n${await readFile(new URL(`../test/lint/${id}/${name}.yaml`, import.meta.url), "utf8")}\`\`\`\n`;
      return `## ${id}\n\n**${severity}**: ${summary}.\n\n${explanation}\n\nSo it is found in\n\n${await example("bad")}\nand not in\n\n${await example("good")}`;
    }),
  );
  return `# Lint rules

Generated from \`src/manifest/lint/rules/\` and the examples in \`test/lint/\`, which a test runs. [Linting](../lint.md) says how to use
them.

${sections.join("\n")}`;
}
