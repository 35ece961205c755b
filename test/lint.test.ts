import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allRules } from "../src/manifest/lint/all-rules.ts";
import { applyFixes } from "../src/manifest/lint/apply-fixes.ts";
import { runRules, type Report } from "../src/manifest/lint/run-rules.ts";
import { parseManifests } from "../src/manifest/parse.ts";

/*
 * Every rule has a bad example, in which it finds something, and the corrected one, in which no rule finds an error. The
 * page docs/reference/lint-rules.md shows them.
 */

const root = join(import.meta.dirname, "lint");
const examples = readdirSync(root);

async function lint(path: string, text?: string) {
  const manifests = parseManifests([{ path, text: text ?? (await readFile(path, "utf8")) }]);
  return { manifests, reports: runRules(manifests, allRules) };
}

const brief = ({ rule, severity, field, message }: Report): string =>
  `${severity} ${rule} ${field}: ${message}`;

test("every rule has its examples, and every example its rule", () => {
  expect(examples.toSorted()).toEqual(allRules.map(({ id }) => id).toSorted());
});

describe.each(examples)("%s", (id) => {
  const bad = join(root, id, "bad.yaml");
  const good = join(root, id, "good.yaml");

  test("finds its bad example, at a place in it", async () => {
    const { reports } = await lint(bad);

    const own = reports.filter(({ rule }) => rule === id);

    expect(own.length).toBeGreaterThan(0);
    for (const { position, message } of own) {
      expect(position.line).toBeGreaterThan(0);
      expect(message).not.toMatch(/undefined|\.$/);
    }
  });

  test("says nothing of the corrected one, and neither does any other rule that would refuse it", async () => {
    const { reports } = await lint(good);

    expect(reports.filter(({ rule, severity }) => rule === id || severity === "error").map(brief)).toEqual(
      [],
    );
  });

  test("is content with its own fix, which keeps comments", async () => {
    const text = `# kept above\n${await readFile(bad, "utf8")}# kept below\n`;
    const { manifests, reports } = await lint(bad, text);
    const fixes = reports.filter(({ rule }) => rule === id).flatMap(({ fix }) => fix ?? []);

    const [fixed] = applyFixes(manifests.documents, fixes);
    const after = await lint(bad, fixed?.text ?? text);

    expect(after.manifests.problems).toEqual([]);
    expect(after.reports.filter(({ rule, fix }) => rule === id && fix !== undefined).map(brief)).toEqual([]);
    expect(fixed?.text ?? text).toMatch(/^# kept above[^]*# kept below$/m);
  });
});
