import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limitLog } from "./limited-logs.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidemark-logs-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

describe("a log that others write", () => {
  test("is begun anew beyond its limit, and whoever has it open writes on from its new beginning", async () => {
    const path = join(folder, "server.log");
    const log = await open(path, "a");
    const script = "echo before; read go; echo after";
    const writer = spawn("sh", ["-c", script], { stdio: ["pipe", log.fd, "inherit"] });
    await log.close();
    while ((await stat(path)).size === 0) await promisify(execFile)("sleep", ["0.01"]);

    expect(await limitLog(path, 3)).toBe(true);
    writer.stdin?.end("go\n");
    await once(writer, "exit");

    expect(await readFile(path, "utf8")).toBe("after\n");
    expect(await readFile(`${path}.1`, "utf8")).toBe("before\n");
  });

  test("is left alone below it, and need not be there", async () => {
    const path = join(folder, "server.log");
    expect(await limitLog(path, 3)).toBe(false);

    await writeFile(path, "abc");

    expect(await limitLog(path, 3)).toBe(false);
    expect(await readFile(path, "utf8")).toBe("abc");
  });
});
