import { realpath, stat } from "node:fs/promises";
import { EngineError } from "../../common/errors.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import { allRules } from "../../manifest/lint/all-rules.ts";
import { applyFixes } from "../../manifest/lint/apply-fixes.ts";
import type { Severity } from "../../manifest/lint/rule.ts";
import { runRules, unreadable, type Report } from "../../manifest/lint/run-rules.ts";
import { nearest } from "../../manifest/nearest.ts";
import { parseManifests } from "../../manifest/parse.ts";
import { formatReports, reportsJson } from "../lint-output.ts";
import { readManifestFiles } from "../manifest-files.ts";
import { formatJson } from "../output.ts";
import { formatSarif } from "../sarif.ts";

export interface LintCommandOptions {
  readonly file?: readonly string[];
  readonly fix?: boolean;
  readonly explain?: string;
  readonly rules?: boolean;
  readonly ignore?: readonly string[];
  readonly warningsAsErrors?: boolean;
  readonly output?: string;
}

/** `tidemark lint`. Throws `manifest` when something must not be applied. */
export async function run(options: LintCommandOptions): Promise<void> {
  if (options.explain !== undefined) return explain(options.explain);
  if (options.rules === true) return listRules();
  for (const id of options.ignore ?? []) findRule(id);
  const format = parseFormat(options.output ?? "text");
  const texts = await readManifestFiles(options.file ?? []);
  const lint = (manifests: ReturnType<typeof parseManifests>): readonly Report[] =>
    runRules(manifests, allRules, { ignored: new Set(options.ignore), now: new Date() });

  let manifests = parseManifests(texts);
  if (manifests.objects.length === 0 && manifests.problems.length === 0) {
    throw new EngineError(
      "usage",
      `there is no manifest in ${texts.map(({ path }) => `"${path}"`).join(", ")}`,
    );
  }
  let reports = lint(manifests);
  if (options.fix === true) {
    const fixed = applyFixes(
      manifests.documents,
      reports.flatMap(({ fix }) => fix ?? []),
    );
    for (const { path, text, applied } of fixed) {
      if (path !== "-") await replaceFile(path, text);
      for (const title of applied) process.stderr.write(`${path}: ${title}\n`);
    }
    const changed = new Map(fixed.map(({ path, text }) => [path, text]));
    const after = texts.map(({ path, text }) => ({ path, text: changed.get(path) ?? text }));
    for (const { path, text } of after) if (path === "-") process.stdout.write(text);
    manifests = parseManifests(after);
    reports = lint(manifests);
  }

  const isToStdout = !(options.fix === true && texts.some(({ path }) => path === "-"));
  const write = (text: string): void => void (isToStdout ? process.stdout : process.stderr).write(text);
  if (format === "json") write(formatJson(reportsJson(reports)));
  else if (format === "sarif") write(formatJson(formatSarif(reports, [unreadable, ...allRules])));
  else write(formatReports(reports, manifests.objects.length));
  requireGood(reports, options.warningsAsErrors === true);
}

/** Through a link, and with the mode that the file has. */
async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path);
  const { mode } = await stat(target);
  await writeDurableFile(target, text, mode & 0o777);
}

function requireGood(reports: readonly Report[], warningsAsErrors: boolean): void {
  const count = (severity: Severity): number =>
    reports.filter((report) => report.severity === severity).length;
  const errors = count("error");
  const warnings = count("warning");
  if (errors === 0 && !(warningsAsErrors && warnings > 0)) return;
  const fixable = reports.filter(({ fix }) => fix !== undefined).length;
  throw new EngineError(
    "manifest",
    `the manifests have ${plural(errors, "error")} and ${plural(warnings, "warning")}`,
    {
      hint:
        fixable > 0
          ? `${plural(fixable, "of them")} can be corrected with --fix; --explain RULE says more.`
          : "--explain RULE says more of each.",
    },
  );
}

function plural(count: number, word: string): string {
  return count === 1 || word.startsWith("of") ? `${count} ${word}` : `${count} ${word}s`;
}

type Format = "text" | "json" | "sarif";

function parseFormat(text: string): Format {
  if (text === "text" || text === "json" || text === "sarif") return text;
  throw new EngineError("usage", `"${text}" is not an output format`, {
    hint: "Use -o text, -o json or -o sarif.",
  });
}

function findRule(id: string) {
  const rule = [unreadable, ...allRules].find((candidate) => candidate.id === id);
  if (rule !== undefined) return rule;
  const near = nearest(
    id,
    allRules.map((candidate) => candidate.id),
  );
  throw new EngineError("usage", `there is no rule "${id}"`, {
    hint: near === undefined ? "tidemark lint --rules lists them." : `Did you mean "${near}"?`,
  });
}

function explain(id: string): void {
  const rule = findRule(id);
  process.stdout.write(`${rule.id} (${rule.severity}): ${rule.summary}\n\n${wrap(rule.explanation, 100)}\n`);
}

function listRules(): void {
  const width = Math.max(...allRules.map(({ id }) => id.length));
  for (const { id, severity, summary } of allRules) {
    process.stdout.write(`${id.padEnd(width)}  ${severity.padEnd(7)}  ${summary}\n`);
  }
}

function wrap(text: string, width: number): string {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}
