import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { createLog } from "../../common/log.ts";
import { openFileStore } from "../file/file-store.ts";
import { readObject } from "../object-body.ts";
import type { ObjectStore } from "../object-store.ts";
import { testObjectStore } from "../testing/conformance.ts";
import { faultyStore, type FaultPlan } from "../testing/faulty-store.ts";
import { temporaryStore } from "../testing/temporary-store.ts";
import { retryDelayMs, defaultRetryPolicy } from "./retry-policy.ts";
import { withRetry } from "./retry.ts";

const fast = { firstDelayMs: 1, maxDelayMs: 2, maxAttempts: 10 };

testObjectStore("the retrying store over one that fails and loses answers", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-retry-"));
  const inner = await openFileStore({ root });
  const losing = faultyStore(inner, {
    kind: "lost-answer",
    probability: 0.2,
    seed: 7,
    // Its lost answer leaves an abandoned upload, as it must.
    spare: ["startUpload"],
  });
  const failing = faultyStore(losing, { kind: "unavailable", probability: 0.2, seed: 8 });
  const cutting = faultyStore(failing, { kind: "truncated-body", probability: 0.3, seed: 9 });
  return Object.assign(withRetry(cutting, { ...fast, maxAttempts: 40 }), {
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  });
});

describe("retrying", () => {
  const scenario = async (store: ObjectStore): Promise<void> => {
    await store.put("a", [Buffer.from("first")], { ifAbsent: true });
    await store.put("b/c", [Buffer.from("se"), Buffer.from("cond")]);
    const upload = await store.startUpload("b/d", { partBytes: 4, ifAbsent: true });
    await upload.writePart(0, [Buffer.from("abcd")]);
    await upload.writePart(1, [Buffer.from("ef")]);
    await upload.complete();
    await store.delete(["b/c"]);
  };

  test.for(["unavailable", "lost-answer"] as const)(
    "a scenario survives %s at each of its calls in turn",
    async (kind) => {
      const counting = faultyStore(await temporaryStore());
      await scenario(counting);
      expect(counting.calls).toBe(7);

      for (let failAtCall = 1; failAtCall <= counting.calls; failAtCall++) {
        const inner = await temporaryStore();
        const faulty = faultyStore(inner, { kind, failAtCall });

        await scenario(withRetry(faulty, fast));

        expect(faulty.faults).toBe(1);
        const entries = await Array.fromAsync(inner.list(""));
        expect(entries.map((entry) => "key" in entry && entry.key)).toEqual(["a", "b/d"]);
        expect(String(await readObject(inner, "a", 10))).toBe("first");
        expect(String(await readObject(inner, "b/d", 10))).toBe("abcdef");
      }
    },
  );

  test("a lost answer to a conditional write is success only for the same bytes", async () => {
    const inner = await temporaryStore();
    const put = async (plan: FaultPlan, content: string): Promise<unknown> =>
      withRetry(faultyStore(inner, plan), fast).put("key", [Buffer.from(content)], { ifAbsent: true });
    const lostFirst: FaultPlan = { kind: "lost-answer", failAtCall: 1, operation: "put" };
    const failedFirst: FaultPlan = { kind: "unavailable", failAtCall: 1, operation: "put" };

    await expect(put(lostFirst, "mine")).resolves.toMatchObject({ sizeBytes: 4 });
    await expect(put(failedFirst, "mine")).resolves.toMatchObject({ sizeBytes: 4 });
    await expect(put(failedFirst, "mind")).rejects.toMatchObject({ code: "object-exists" });
    await expect(put(failedFirst, "other")).rejects.toMatchObject({ code: "object-exists" });
    await expect(put({}, "mine")).rejects.toMatchObject({ code: "object-exists" });
    expect(String(await readObject(inner, "key", 10))).toBe("mine");
  });

  test("a body that is cut goes on where it stopped", async () => {
    const inner = await temporaryStore();
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
    await inner.put("large", [content, content, content, content]);
    const faulty = faultyStore(inner, { kind: "truncated-body", failAtCall: 1 });

    const read = await readObject(withRetry(faulty, fast), "large", 1_000_000);

    expect(read?.equals(Buffer.concat([content, content, content, content]))).toBe(true);
    expect(faulty.calls).toBe(2);
  });

  test("a body is not continued in another version of the object", async () => {
    const inner = await temporaryStore();
    await inner.put("key", [Buffer.alloc(600_000, 1)]);
    const opened = await withRetry(faultyStore(inner, { kind: "truncated-body", failAtCall: 1 }), fast).get(
      "key",
    );
    await inner.put("key", [Buffer.alloc(600_000, 2)]);

    await expect(Array.fromAsync(opened?.body ?? [])).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: false,
      message: `could not read "key" in ${inner.url}: it was replaced meanwhile`,
    });
  });

  test("a refusal is not repeated", async () => {
    const faulty = faultyStore(await temporaryStore(), { kind: "denied", failAtCall: 1 });

    await expect(withRetry(faulty, fast).head("x")).rejects.toMatchObject({ code: "store-denied" });
    expect(faulty.calls).toBe(1);
  });

  test("gives up after the last attempt, with the last error, having said so each time", async () => {
    const faulty = faultyStore(await temporaryStore(), { probability: 1 });
    const lines: unknown[] = [];
    const log = createLog((level, message, fields) => lines.push([level, message, fields.attempt]));

    const result = withRetry(faulty, { ...fast, maxAttempts: 3, log }).put("x", []);

    await expect(result).rejects.toMatchObject({ code: "store-unavailable" });
    expect(faulty.calls).toBe(3);
    expect(lines).toEqual([
      ["warn", 'could not write "x", trying again', 1],
      ["warn", 'could not write "x", trying again', 2],
    ]);
  });

  test("an abort ends the waiting for the next attempt", async () => {
    const faulty = faultyStore(await temporaryStore(), { probability: 1 });
    const controller = new AbortController();

    const result = withRetry(faulty, { firstDelayMs: 60_000 }).head("x", { signal: controller.signal });
    setTimeout(() => controller.abort(), 10);

    await expect(result).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("the decision to try again", () => {
  const passing = new EngineError("store-unavailable", "busy");

  test.for([
    { error: passing, attempt: 1, elapsedMs: 0, random: 0, delay: 100 },
    { error: passing, attempt: 1, elapsedMs: 0, random: 0.999_999, delay: 200 },
    { error: passing, attempt: 4, elapsedMs: 0, random: 0, delay: 800 },
    { error: passing, attempt: 5, elapsedMs: 118_400, random: 0, delay: 1600 },
    { error: passing, attempt: 5, elapsedMs: 118_401, random: 0, delay: undefined },
    { error: passing, attempt: 6, elapsedMs: 0, random: 0, delay: undefined },
    { error: new EngineError("store-denied", "no"), attempt: 1, elapsedMs: 0, random: 0, delay: undefined },
    { error: new EngineError("aborted", "stop"), attempt: 1, elapsedMs: 0, random: 0, delay: undefined },
    { error: new Error("a bug"), attempt: 1, elapsedMs: 0, random: 0, delay: undefined },
  ])(
    "$error.message, attempt $attempt after $elapsedMs ms: $delay",
    ({ error, attempt, elapsedMs, random, delay }) => {
      const decided = retryDelayMs(defaultRetryPolicy, error, attempt, elapsedMs, random);

      expect(decided === undefined ? undefined : Math.round(decided)).toBe(delay);
    },
  );
});
