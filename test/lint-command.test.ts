import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const main = join(import.meta.dirname, "../src/cli/main.ts");
const bad = await readFile(join(import.meta.dirname, "lint/five-field-schedule/bad.yaml"), "utf8");
const good = await readFile(join(import.meta.dirname, "lint/five-field-schedule/good.yaml"), "utf8");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidemark-lint-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function lint(args: readonly string[], input = "") {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [main, "lint", ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

test("errors are said with their place, and the status is that of the table", async () => {
  await writeFile(join(folder, "a.yaml"), bad);

  const { code, stdout } = await lint(["-f", folder]);

  expect(code).toBe(57);
  expect(stdout).toContain(`${folder}/a.yaml:6:3: error: schedule "0 3 * * *" has five fields`);
});

test("--fix corrects each file once, however often it is named, through links, and keeps its mode", async () => {
  await writeFile(join(folder, "a.yaml"), bad);
  await chmod(join(folder, "a.yaml"), 0o640);
  await mkdir(join(folder, "mounted"));
  await symlink(join(folder, "a.yaml"), join(folder, "mounted/b.yaml"));

  const { code } = await lint(["-f", join(folder, "mounted"), "-f", join(folder, "mounted/b.yaml"), "--fix"]);

  expect(code).toBe(0);
  expect(await readFile(join(folder, "a.yaml"), "utf8")).toBe(good);
  expect((await stat(join(folder, "a.yaml"))).mode & 0o777).toBe(0o640);
  expect(await readFile(join(folder, "mounted/b.yaml"), "utf8")).toBe(good);
});

test("as a filter it gives back what came in, corrected or not", async () => {
  expect(await lint(["-f", "-", "--fix"], bad)).toMatchObject({ code: 0, stdout: good });
  expect(await lint(["-f", "-", "--fix"], good)).toMatchObject({ code: 0, stdout: good });
});

test("nothing to read is a mistake, not a success", async () => {
  await writeFile(join(folder, "empty.yaml"), "# nothing\n---\n");

  for (const args of [[], ["-f", folder], ["-f", join(folder, "absent")], ["-f", "-"]]) {
    const { code, stderr } = await lint(args);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^tidemark: /)]);
  }
});

test("JSON and SARIF name the rule and the place", async () => {
  const json = JSON.parse((await lint(["-f", "-", "-o", "json"], bad)).stdout) as {
    findings: { rule: string; line: number; severity: string }[];
  };
  const sarif = JSON.parse((await lint(["-f", "-", "-o", "sarif"], bad)).stdout) as {
    runs: { results: { ruleId: string }[]; tool: { driver: { rules: { id: string }[] } } }[];
  };

  expect(json.findings[0]).toMatchObject({ rule: "five-field-schedule", line: 6, severity: "error" });
  const [run] = sarif.runs;
  const ids = run?.tool.driver.rules.map(({ id }) => id) ?? [];
  expect(run?.results.map(({ ruleId }) => ids.includes(ruleId))).toEqual([true, true]);
});

test("rules can be listed, explained and left out", async () => {
  expect((await lint(["--rules"])).stdout).toContain("five-field-schedule");
  expect((await lint(["--explain", "unreadable"])).stdout).toContain("no manifest");
  expect(await lint(["--explain", "five-field-shedule"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Did you mean "five-field-schedule"?') as string,
  });
  const left = await lint(["-f", "-", "--ignore", "five-field-schedule"], bad);
  expect([left.code, left.stdout]).toEqual([0, expect.not.stringContaining("five-field")]);
  expect((await lint(["-f", "-", "--ignore", "five-field-schedule", "--warnings-as-errors"], bad)).code).toBe(
    57,
  );
});

test("the JSON Schema of a kind refuses unknown fields", async () => {
  const schema = await new Promise<string>((resolve) => {
    execFile(process.execPath, [main, "schema", "Cluster"], (_error, stdout) => resolve(stdout));
  });

  expect(JSON.parse(schema)).toMatchObject({
    type: "object",
    additionalProperties: false,
    required: ["apiVersion", "kind", "metadata", "spec"],
    properties: { spec: { properties: { instances: { type: "integer" } } } },
  });
});
