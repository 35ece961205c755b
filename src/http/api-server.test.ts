import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { cluster } from "../control/admission/testing/manifests.ts";
import { ManualClock } from "../control/loop/testing/manual-clock.ts";
import { startApiServer, type ApiServerOptions } from "./api-server.ts";
import { applyTexts, testApi } from "./testing/test-api.ts";

const token = "0123456789abcdef0123456789abcdef";

async function temporarySocket(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-api-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  return join(folder, "control.sock");
}

async function start(options: ApiServerOptions) {
  const server = await startApiServer(options);
  onTestFinished(async () => server[Symbol.asyncDispose]());
  return server;
}

type Place = { readonly socketPath: string } | { readonly host: string; readonly port: number };

async function ask(
  place: Place,
  path: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...place, path, headers, agent: false }, resolve);
    request.on("error", reject);
    request.end();
  });
}

describe("the socket", () => {
  test("answers, and only its user can connect to it", async () => {
    const { app } = await testApi();
    const socketPath = await temporarySocket();
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    await start({ app, socketPath });

    const response = await ask({ socketPath }, "/healthz");

    expect(await text(response)).toBe('{"status":"ok"}');
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(0);
  });

  test("is taken over from a process that was killed, and never from one that lives", async () => {
    const { app } = await testApi();
    const socketPath = await temporarySocket();
    const listen = `require("node:net").createServer().listen(${JSON.stringify(socketPath)}, () => console.log("x"))`;
    const child = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");

    await expect(startApiServer({ app, socketPath })).rejects.toMatchObject({ code: "locked" });
    child.kill("SIGKILL");
    await once(child, "exit");

    await start({ app, socketPath });
    expect((await ask({ socketPath }, "/healthz")).statusCode).toBe(200);
    await expect(startApiServer({ app, socketPath })).rejects.toMatchObject({ code: "locked" });
    expect((await ask({ socketPath }, "/healthz")).statusCode).toBe(200);
  });

  test("is removed at the end, although somebody watches", async () => {
    const { app } = await testApi();
    const socketPath = await temporarySocket();
    const server = await startApiServer({ app, socketPath });
    const watched = await ask({ socketPath }, "/api/v1/secrets?watch=true");
    const ended = new Promise<void>((resolve) => {
      watched.on("error", () => resolve());
      watched.on("end", () => resolve());
      watched.resume();
    });

    await server[Symbol.asyncDispose]();
    await ended;

    await expect(stat(socketPath)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a place where it cannot be is an error that names it", async () => {
    const { app } = await testApi();

    await expect(startApiServer({ app, socketPath: "/nowhere/control.sock" })).rejects.toMatchObject({
      code: "file-io",
      message: expect.stringContaining('could not listen on "/nowhere/control.sock"') as string,
    });
  });
});

describe("watching over a connection", () => {
  test("lines come as things happen, the head at once, and leaving ends the watch", async () => {
    const clock = new ManualClock();
    const { app, store } = await testApi({ clock });
    const socketPath = await temporarySocket();
    await start({ app, socketPath });

    const response = await ask({ socketPath }, "/tidemark/v1/events?watch=true");
    expect(response.headers["content-type"]).toBe("application/x-ndjson");
    applyTexts(store, cluster);
    const about = store.require({ kind: "Cluster", namespace: "prod", name: "pg" });
    store.recordEvent({ about, type: "Normal", reason: "Made", message: "so" });
    await clock.advance(500);
    const [chunk] = (await once(response, "data")) as [Buffer];
    expect(JSON.parse(chunk.toString())).toMatchObject({ type: "ADDED", object: { reason: "Made" } });
    expect(clock.sleepers).toBe(1);

    response.destroy();

    for (let tries = 0; clock.sleepers > 0 && tries < 200; tries++) await sleep(10);
    expect(clock.sleepers).toBe(0);
  });

  test("a client that reads nothing hinders neither writers nor others", async () => {
    const { app, store } = await testApi();
    const socketPath = await temporarySocket();
    await start({ app, socketPath });
    const stuck = await ask({ socketPath }, "/api/v1/configmaps?watch=true");
    stuck.pause();
    const key = { kind: "ConfigMap", namespace: "prod", name: "a" };
    store.create({ ...key, apiVersion: "v1", content: {} });
    const large = "x".repeat(20_000);

    for (let round = 0; round < 11_000; round++) {
      store.setStatus(key, { round, ...(round % 100 === 0 ? { large } : {}) }, {});
      if (round % 500 === 0) await sleep(0);
    }

    expect((await ask({ socketPath }, "/healthz")).statusCode).toBe(200);
    const lines = (await text(stuck)).trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      type: "ERROR",
      object: { code: 410, reason: "Expired" },
    });
  });
});

describe("the port", () => {
  async function open() {
    const { app } = await testApi();
    const { tcpPort: port = 0 } = await start({ app, tcp: { host: "127.0.0.1", port: 0, token } });
    const place = { host: "127.0.0.1", port };
    const authorization = `Bearer ${token}`;
    return { place, port, authorization };
  }

  test("lets those in who bring the token", async () => {
    const { place, authorization } = await open();

    const statuses = await Promise.all(
      [
        authorization,
        "",
        `Bearer ${token}x`,
        "Bearer",
        token,
        `Basic ${token}`,
        authorization.toLowerCase(),
      ].map(
        async (value) =>
          (await ask(place, "/api/v1/secrets", value === "" ? {} : { authorization: value })).statusCode,
      ),
    );

    expect(statuses).toEqual([200, 401, 401, 401, 401, 401, 200]);
  });

  test("answers no page that came by another name or from elsewhere, whatever it brings", async () => {
    const { place, port, authorization } = await open();
    const statusFor = async (headers: Record<string, string>) =>
      (await ask(place, "/api/v1/secrets", { authorization, ...headers })).statusCode;

    expect(await statusFor({ host: `rebound.example:${port}` })).toBe(421);
    expect(await statusFor({ host: "127.0.0.1:1" })).toBe(421);
    expect(await statusFor({ host: `localhost:${port}` })).toBe(200);
    expect(await statusFor({ origin: "https://evil.example" })).toBe(403);
    expect(await statusFor({ origin: "null" })).toBe(403);
    expect(await statusFor({ origin: `http://127.0.0.1:${port}` })).toBe(200);
  });

  test("whether it lives anybody of this machine may ask", async () => {
    const { place } = await open();

    expect((await ask(place, "/healthz")).statusCode).toBe(200);
    expect((await ask(place, "/healthz", { host: "rebound.example" })).statusCode).toBe(421);
  });

  test("the refusal says how to do it, and nothing of the token", async () => {
    const { place } = await open();

    const answer = await text(await ask(place, "/openapi.json"));

    expect(JSON.parse(answer)).toMatchObject({
      kind: "Status",
      reason: "Unauthorized",
      tidemark: { hint: "Send it as: Authorization: Bearer <token>." },
    });
    expect(answer).not.toContain(token);
  });

  test.each([
    ["all addresses", "0.0.0.0", token],
    ["another name", "example.org", token],
    ["a short token", "127.0.0.1", "secret"],
  ])("is not opened for %s", async (_what, host, given) => {
    const { app } = await testApi();

    await expect(startApiServer({ app, tcp: { host, port: 0, token: given } })).rejects.toMatchObject({
      code: "config",
      message: expect.not.stringContaining(given === token ? "never" : given) as string,
    });
  });

  test("one that is taken leaves no socket behind either", async () => {
    const { app } = await testApi();
    const socketPath = await temporarySocket();
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };

    await expect(
      startApiServer({ app, socketPath, tcp: { host: "127.0.0.1", port, token } }),
    ).rejects.toMatchObject({
      code: "file-io",
    });

    await expect(stat(socketPath)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

test("a file that is no socket is not in the way", async () => {
  const { app } = await testApi();
  const socketPath = await temporarySocket();
  await writeFile(socketPath, "left by somebody");

  await start({ app, socketPath });

  expect((await ask({ socketPath }, "/healthz")).statusCode).toBe(200);
});
