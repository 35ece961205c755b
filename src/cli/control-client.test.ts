import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connectControl } from "./control-client.ts";

/** Somebody who answers as he likes. */
async function answering(listener: RequestListener) {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-client-"));
  const socketPath = join(folder, "a.sock");
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });
  return connectControl({ socketPath });
}

const json =
  (status: number, value: unknown): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };

test("an error is thrown as what it was at the other end", async () => {
  const client = await answering(
    json(409, {
      kind: "Status",
      message: "it has been changed",
      tidemark: { code: "resource-conflict", hint: "Read it again.", details: { version: "7" } },
    }),
  );

  await expect(client.request("/x")).rejects.toMatchObject({
    code: "resource-conflict",
    message: "it has been changed",
    hint: "Read it again.",
    details: { version: "7" },
    exitStatus: 60,
  });
  await expect(client.lines("/x")[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "resource-conflict",
  });
});

test.each([
  ["an error without our code", json(500, { message: "oops" }), { code: "internal", message: "oops" }],
  [
    "a code of a newer version",
    json(500, { message: "new", tidemark: { code: "brand-new" } }),
    { code: "internal" },
  ],
  [
    "something that is no JSON",
    ((_request, response) => response.end("<html>")) satisfies RequestListener,
    { code: "control-unreachable" },
  ],
  [
    "half an answer",
    ((_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("{", () => response.destroy());
    }) satisfies RequestListener,
    { code: "control-unreachable" },
  ],
])("%s is no answer", async (_what, listener, error) => {
  const client = await answering(listener);

  await expect(client.request("/x")).rejects.toMatchObject(error);
});

test("parameters and bodies arrive as they were meant", async () => {
  const client = await answering((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      json(200, { method, url, type: headers["content-type"], body: Buffer.concat(chunks).toString() })(
        request,
        response,
      );
    });
  });

  expect(
    await client.request("/a", {
      method: "POST",
      query: { a: "b c&d", yes: true, no: false, none: undefined },
      body: { ä: 1 },
    }),
  ).toEqual({ method: "POST", url: "/a?a=b+c%26d&yes=true", type: "application/json", body: '{"ä":1}' });
});

test("lines are put together however they were cut, until the caller has enough or the signal fires", async () => {
  const client = await answering((_request, response) => {
    response.writeHead(200);
    const bytes = Buffer.from('{"a":"ä"}\n{"b":2}\n{"c"');
    void (async () => {
      for (const byte of bytes) await new Promise((resolve) => response.write(Buffer.of(byte), resolve));
    })();
  });
  const stop = new AbortController();
  const seen: unknown[] = [];

  for await (const line of client.lines("/x", { signal: stop.signal })) {
    seen.push(line);
    if (seen.length === 2) stop.abort();
  }
  for await (const line of client.lines("/x")) {
    seen.push(line);
    break;
  }

  expect(seen).toEqual([{ a: "ä" }, { b: 2 }, { a: "ä" }]);
});

test("a request that is given up is not taken for a control plane that is gone", async () => {
  const client = await answering(() => undefined);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);

  await expect(client.request("/x", { signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
});
