import { createConnection, Server } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { temporaryFolder } from "../archive/testing/archive-bench.ts";
import { listen } from "./agent-socket.ts";
import { spoolAt } from "./spool.ts";

test("failures to accept a connection do not end the agent, however many", async () => {
  const servers: Server[] = [];
  const original = Server.prototype.listen;
  const spy = vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...given) {
    servers.push(this);
    return Reflect.apply(original, this, given);
  });
  onTestFinished(() => spy.mockRestore());
  await using socket = await listen(spoolAt(await temporaryFolder()), async () => "answer");

  // As Node reports EMFILE from accept(2).
  for (let time = 0; time < 3; time++) servers[0]?.emit("error", new Error("accept EMFILE"));

  const answer = await new Promise<string>((resolve) => {
    const client = createConnection(socket.path);
    client.setEncoding("utf8");
    client.on("data", resolve);
    client.write(`${JSON.stringify({ op: "status" })}\n`);
  });
  expect(JSON.parse(answer)).toEqual({ ok: true, result: "answer" });
});
