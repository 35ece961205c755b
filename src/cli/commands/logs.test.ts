import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { run } from "./logs.ts";

const cluster = { metadata: { name: "pg", namespace: "default", uid: "u1" }, spec: {} };

async function serving(listener: RequestListener): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-logs-"));
  const server = createServer(listener);
  server.listen(join(folder, "control.sock"));
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });
  return join(folder, "control.sock");
}

test("a control plane that is killed while its log is followed is named as the reason", async () => {
  const written: string[] = [];
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  onTestFinished(() => stdout.mockRestore());
  const socket = await serving((request, response) => {
    if (request.url?.includes("/logs") !== true) return response.end(JSON.stringify(cluster));
    response.write("a line\n");
    return setTimeout(() => response.destroy(), 50);
  });

  const following = run("pg", { socket, follow: true }, new AbortController().signal);

  await expect(following).rejects.toMatchObject({
    code: "control-unreachable",
    message: "the control plane ended before the log did",
    hint: "The instance may go on without it. Start it with: tidemark up.",
  });
  expect(written).toEqual(["a line\n"]);
});

test("a cluster that is not there is said to be missing, not its instances", async () => {
  const socket = await serving((_request, response) => {
    response.writeHead(404);
    response.end(
      JSON.stringify({ message: "there is no such Cluster", tidemark: { code: "resource-missing" } }),
    );
  });

  await expect(run("nope", { socket }, new AbortController().signal)).rejects.toMatchObject({
    code: "resource-missing",
    message: "there is no such Cluster",
  });
});
