import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import type { ControlClient } from "../control-client.ts";
import { waitingFailed, watchObject } from "./watch-object.ts";

function answering(...lines: readonly unknown[]): ControlClient {
  return {
    request: async () => Promise.resolve({}),
    lines: () => Readable.from(lines),
  };
}

async function seen(client: ControlClient): Promise<unknown[]> {
  return Array.fromAsync(watchObject(client, "/backups", "one", new AbortController().signal));
}

test("a watch ends with the object", async () => {
  const client = answering({ type: "ADDED", object: 1 }, { type: "DELETED", object: 2 });

  expect(await seen(client)).toEqual([1]);
});

test("a watch that the control plane ends says why in its words", async () => {
  const client = answering({ type: "ERROR", object: { kind: "Status", message: "read too slowly" } });

  await expect(seen(client)).rejects.toMatchObject({ code: "aborted", message: "read too slowly" });
});

test("what ends the waiting without ending the thing waited for is said with where to look", () => {
  const slow = waitingFailed(
    new EngineError("aborted", "read too slowly"),
    'Backup "one"',
    "tidemark get backup one",
  );
  const other = new EngineError("internal", "a mistake");

  expect(slow).toMatchObject({
    code: "aborted",
    message: 'could not wait any longer for Backup "one": read too slowly',
    hint: "It was asked for and is not forgotten: tidemark get backup one shows what became of it.",
  });
  expect(waitingFailed(other, 'Backup "one"', "tidemark get backup one")).toBe(other);
});
