import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { resourcesOnDisk } from "../resources/testing/temporary-resources.ts";

const script = fileURLToPath(new URL("testing/applying-child.ts", import.meta.url));

test("a process that is killed while it applies leaves nothing half applied", async () => {
  const { path, keyFile, open } = await resourcesOnDisk();
  let next = 1;
  for (let attempt = 0; attempt < 6; attempt++) {
    const child = spawn(process.execPath, [script, path, keyFile, String(next)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    await once(child.stdout, "data");
    await sleep(Math.random() * 150);
    child.kill("SIGKILL");
    await once(child, "close");
    const answered = Number(output.trim().split("\n").at(-1));

    using store = await open();
    const rounds = new Map<string, number>();
    for (const { metadata, content } of store.list({ kind: "ConfigMap" })) {
      const { round = "" } = content["data"] as { round?: string };
      const id = /\d/.test(metadata.name) ? "own" : "shared";
      rounds.set(`${id} ${round}`, (rounds.get(`${id} ${round}`) ?? 0) + 1);
    }

    expect([...rounds.values()].every((count) => count === 5)).toBe(true);
    const last = Math.max(...[...rounds.keys()].map((text) => Number(text.split(" ")[1])));
    expect([answered, answered + 1]).toContain(last);
    next = last + 1;
  }
  expect(next).toBeGreaterThan(6);
});
