import { expect, test } from "vitest";
import { fileURLToPath } from "node:url";
import { runProgram } from "../../postgres/server-process.ts";
import { instanceStage } from "../../instance/process/testing/instance-stage.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const tidemark = async (...args: string[]) => runProgram(process.execPath, [main, "instance", ...args]);

/** What differs from run to run. */
const steady = (text: string) =>
  text
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00/g, "<time>")
    .replaceAll(/\d+(\.\d+)? [KM]iB/g, "<size>")
    .replaceAll(/\d{8}T\d{6}/g, "<id>")
    .replaceAll(/(PostgreSQL: +|in|process|system|process: +) ?[\d.]+( m?s)?\b/g, "$1 <n>")
    .replaceAll(/\d+(\.\d+)? (ms|s) ago/g, "<age> ago")
    .replaceAll(/\/tmp\/tidemark-test-\w+/g, "<dir>")
    .replaceAll(/[0-9A-F]+\/[0-9A-F]+|[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?/g, "<wal>");

test("an instance's status can be read by people and by programs, and says so when nobody is there", async () => {
  const stage = await instanceStage();
  const instance = await stage.instance();
  const { root } = instance.folder;
  const absent = await tidemark("status", root);
  await instance.up();
  await instance.ask({ op: "backup", id: "b" });
  await instance.until(
    ({ backups, archiving }) => backups[0]?.state === "completed" && archiving?.waitingFiles === 0,
  );

  const text = await tidemark("status", root);
  const json = await tidemark("status", root, "-o", "json");

  expect([absent.code, absent.stderr]).toEqual([
    55,
    `tidemark: no process serves the instance in "${root}"\nhint: Start it with: tidemark instance run ${root}\n`,
  ]);
  expect(steady(text.stdout)).toBe(`process:          <n>, since <time>
phase:           running
PostgreSQL:       <n>, process <n>, since <time>, <size> and <size> of WAL
primary:         system <n>, timeline 1, at <wal>
waiting:         nothing
last archived:   <wal>, at <time>
repository main: ok, got <wal> <age> ago, <dir>/store
backup b:        <id> completed in <n>
`);
  expect(JSON.parse(json.stdout)).toMatchObject({
    phase: "running",
    backups: [{ id: "b", state: "completed" }],
  });
});
