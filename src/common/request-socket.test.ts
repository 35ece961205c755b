import { mkdtemp, rm, stat } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { EngineError } from "./errors.ts";
import { askSocket } from "./request-client.ts";
import { listenForRequests } from "./request-socket.ts";

async function socketPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "request-socket-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  return join(folder, "s.sock");
}

const ask = async (path: string, request: object = {}) =>
  askSocket({
    socketPath: path,
    request,
    timeoutMs: 5000,
    unreachable: (reason) => new EngineError("agent-unreachable", reason),
  });

describe("a socket for requests", () => {
  test("still sends the answers that are under way when it ends, and waits for no others", async () => {
    const path = await socketPath();
    const soon = Promise.withResolvers<string>();
    const socket = await listenForRequests({
      path,
      graceMs: 300,
      answer: async (request) =>
        (request as { slow?: boolean }).slow === true ? new Promise(() => undefined) : soon.promise,
    });
    const answered = ask(path);
    const never = ask(path, { slow: true });
    await new Promise((resolve) => setTimeout(resolve, 50));

    const ended = socket[Symbol.asyncDispose]();
    soon.resolve("done");

    expect(await answered).toBe("done");
    await expect(never).rejects.toMatchObject({ message: "it ended before it had answered" });
    await ended;
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("takes the place of one whose process was killed", async () => {
    const path = await socketPath();
    const left = await listenForRequests({ path, answer: async () => "old" });
    const next = await listenForRequests({ path, answer: async () => "new" });

    expect(await ask(path)).toBe("new");

    await next[Symbol.asyncDispose]();
    await left[Symbol.asyncDispose]();
  });

  test("drops whoever sends more than a request can be", async () => {
    const path = await socketPath();
    await using _socket = await listenForRequests({ path, answer: async () => "x" });
    const client = createConnection(path);
    const closed = new Promise<string>((resolve) => client.on("close", () => resolve("closed")));
    client.on("error", () => undefined);

    client.write("x".repeat(100_000));

    expect(await closed).toBe("closed");
  });
});
