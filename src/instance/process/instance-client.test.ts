import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { EngineError } from "../../common/errors.ts";
import { listenForRequests } from "../../common/request-socket.ts";
import { instanceFolder } from "../instance-folder.ts";
import { askInstance, readInstanceStatus } from "./instance-client.ts";
import { parseInstanceRequest } from "./instance-request.ts";
import { writeProcessState } from "./process-file.ts";

async function answering(answer: (request: unknown) => Promise<unknown>, root?: string): Promise<string> {
  const folder = instanceFolder(root ?? (await temporaryFolder()));
  const socket = await listenForRequests({ path: join(folder.root, "instance.sock"), answer });
  onTestFinished(async () => socket[Symbol.asyncDispose]());
  await writeProcessState(folder, { pid: process.pid, socket: socket.path, startedAt: "now" });
  return folder.root;
}

const status = { pid: 1, startedAt: "now", specVersion: 1, phase: "stopped", backups: [] };

describe("who asks an instance", () => {
  test("gets what it answers, or what it refuses, with code and hint", async () => {
    const root = await answering(async (value) => {
      const request = parseInstanceRequest(value);
      if (request.op === "restart") throw new EngineError("locked", "not now", { hint: "Later." });
      return request;
    });

    const request = { op: "backup", id: "a", name: "b" } as const;
    expect(await askInstance(root, request)).toEqual(request);
    await expect(askInstance(root, { op: "restart" })).rejects.toMatchObject({
      code: "locked",
      message: "not now",
      hint: "Later.",
    });
    await expect(askInstance(root, { op: "nonsense" } as never)).rejects.toMatchObject({ code: "usage" });
  });

  test("is told that nobody is there: never was, or is no more", async () => {
    const root = await temporaryFolder();
    expect(await readInstanceStatus(root)).toBeUndefined();
    await writeProcessState(instanceFolder(root), { pid: 1, socket: join(root, "gone"), startedAt: "now" });

    expect(await readInstanceStatus(root)).toBeUndefined();
    await expect(askInstance(root, { op: "promote" })).rejects.toMatchObject({
      code: "agent-unreachable",
      message: `could not reach the process of the instance in "${root}": it does not run`,
    });
  });

  test("does not wait for ever, and does not take silence for absence", async () => {
    const root = await answering(async () => new Promise(() => undefined));

    await expect(readInstanceStatus(root, 100)).rejects.toMatchObject({
      code: "agent-unreachable",
      message: `could not reach the process of the instance in "${root}": it did not answer within 100 ms`,
    });
  });

  test("does not take what it does not understand for a status", async () => {
    const root = await answering(async () => ({ ...status, phase: "sleeping" }));

    await expect(readInstanceStatus(root)).rejects.toMatchObject({ code: "agent-unreachable" });
  });

  test("reaches it in a folder whose path is too long for a socket", async () => {
    const root = join(await temporaryFolder(), "x".repeat(120));
    await mkdir(root);
    await answering(async () => status, root);

    expect(await readInstanceStatus(root)).toEqual(status);
  });
});
