import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pickLines } from "./server-log.ts";
import { descendantsOf, isAlive, listProcesses } from "./server-process-tree.ts";
import { serverEnvironment } from "./server-process.ts";
import { clusterState, parsePostmasterFile } from "./server-state.ts";

test("postmaster.pid is read line by line, as far as it has been written", () => {
  const whole = "4242\n/data\n1763717400\n5433\n/tmp\nlocalhost\n  5433001   32769\nready   \n";

  expect(parsePostmasterFile(whole)).toEqual({
    pid: 4242,
    dataDirectory: "/data",
    startedAtSeconds: 1763717400,
    port: 5433,
    socketDirectory: "/tmp",
    status: "ready",
  });
  expect(parsePostmasterFile("-17\n").pid).toBe(17);
  expect(parsePostmasterFile("17\n/data\n").status).toBeUndefined();
  expect(() => parsePostmasterFile("x\n")).toThrowError(`postmaster.pid starts with "x", not a process ID`);
});

test("a process that took over the number of a dead server is not taken for it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  try {
    expect(await clusterState(folder)).toEqual({ kind: "stopped" });

    // This test runs, but not in that folder.
    await writeFile(join(folder, "postmaster.pid"), `${process.pid}\n${folder}\n`);
    expect((await clusterState(folder)).kind).toBe(process.platform === "linux" ? "crashed" : "running");

    await writeFile(join(folder, "postmaster.pid"), `2147483646\n${folder}\n`);
    expect((await clusterState(folder)).kind).toBe("crashed");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("descendants are found through all generations, even where numbers wrap around", () => {
  const entry = (pid: number, parent: number) => ({ pid, parent, zombie: false });

  expect(descendantsOf(10, [entry(10, 1), entry(12, 10), entry(3, 12), entry(99, 1), entry(11, 10)])).toEqual(
    [12, 11, 3],
  );
  expect(descendantsOf(10, [])).toEqual([]);
});

test("this process is alive and below its parent", async () => {
  expect(await isAlive(process.pid)).toBe(true);
  expect(descendantsOf(process.ppid, await listProcesses())).toContain(process.pid);
});

test("the quoted log begins with the last thing the server died of", () => {
  const log = "LOG:  starting\nFATAL:  first\nLOG:  more\nFATAL:  could not do it\nHINT:  try\n\n";

  expect(pickLines(log)).toEqual(["FATAL:  could not do it", "HINT:  try"]);
  const wrong = ['LOG:  invalid value for parameter "a"', 'FATAL:  configuration file "x" contains errors'];
  expect(pickLines(wrong.join("\n"))).toEqual(wrong);
  expect(pickLines("one\n\n two \n")).toEqual(["one", "two"]);
  expect(pickLines("")).toEqual([]);
  expect(pickLines(Array.from({ length: 20 }, (_, n) => `LOG: ${n}`).join("\n"))).toHaveLength(8);
});

test("neither client variables nor credentials reach the server", () => {
  const from = { PATH: "/bin", LANG: "C", PGPORT: "1", PGDATA: "/x", AWS_SECRET_ACCESS_KEY: "s" };

  expect(serverEnvironment({ A: "b" }, from)).toEqual({ PATH: "/bin", LANG: "C", A: "b" });
  expect(serverEnvironment({}, {})).toEqual({ PATH: "/usr/local/bin:/usr/bin:/bin" });
});
