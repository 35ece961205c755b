import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { applyStep, describeStore } from "./testing/steps.ts";
import { resourcesOnDisk, temporaryResources } from "./testing/temporary-resources.ts";

const script = fileURLToPath(new URL("testing/writing-child.ts", import.meta.url));

/** Lets a process write from a step on, kills it after that time, and gives the last step that it had an answer for. */
async function writeUntilKilled(
  places: { path: string; keyFile: string; notes: string },
  first: number,
  ms: number,
) {
  const { path, keyFile, notes } = places;
  const child = spawn(process.execPath, [script, path, keyFile, String(first), notes], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  await setTimeout(ms);
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
  const noted = (await readFile(notes, "utf8")).trimEnd().split("\n").at(-1) ?? "";
  await rm(notes);
  return noted === "" ? first - 1 : Number(noted);
}

test("a process that is killed while it writes loses nothing that was answered, and leaves nothing half done", async () => {
  const { folder, path, keyFile, open } = await resourcesOnDisk();
  const expected = await (await temporaryResources()).open();
  let steps = 0;
  let answered = 0;

  // A slow disk, or a busy one, takes more rounds.
  for (let round = 0; round < 12 || answered < 100; round++) {
    const last = await writeUntilKilled(
      { path, keyFile, notes: join(folder, "notes") },
      steps,
      Math.random() * 120,
    );
    answered += last + 1 - steps;
    for (; steps <= last; steps++) applyStep(expected, steps);
    const store = await open();

    const found = describeStore(store);

    // The call that nobody had an answer for was made, or it was not.
    if (store.version !== expected.version) applyStep(expected, steps++);
    expect(found).toEqual(describeStore(expected));
    expect(store.version).toBe(expected.version);
    store[Symbol.dispose]();
  }
}, 120_000);
