import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { spawnInstance } from "./spawn-instance.ts";
import { residentEnvironment } from "./spawn-resident.ts";

test("a process that ends instead of answering is reported with its status and its last words", async () => {
  const folder = await temporaryFolder();
  const program = ["/bin/sh", "-c", 'echo "cannot work: $*"; exit 7', "sh"];

  await expect(spawnInstance({ folder, program })).rejects.toMatchObject({
    code: "agent-unreachable",
    message: `the instance's process ended with status 7; its log ends: cannot work: instance run ${folder}`,
    details: { exitStatus: 7 },
  });
  await expect(spawnInstance({ folder, program: ["/bin/sh", "-c", "kill -9 $$"] })).rejects.toMatchObject({
    message: "the instance's process ended with signal SIGKILL",
  });
  expect(await readFile(join(folder, "instance.log"), "utf8")).toBe(`cannot work: instance run ${folder}\n`);
});

test("a program that is not there cannot be started", async () => {
  const folder = await temporaryFolder();

  await expect(spawnInstance({ folder, program: ["/nowhere/node"] })).rejects.toMatchObject({
    code: "agent-unreachable",
    message: expect.stringContaining('could not run "/nowhere/node"') as string,
  });
});

test("of our environment it gets what it needs, and none of the secrets that others left there", () => {
  const given = { PATH: "/bin", HOME: "/root", AWS_ACCESS_KEY_ID: "a", HTTPS_PROXY: "p", LC_ALL: "C" };

  expect(
    residentEnvironment({ ...given, PGPASSWORD: "x", BW_SESSION: "x", SECRET_DB: "x", TIDEMARK_TOKEN: "x" }),
  ).toEqual(given);
});
