import { execFile } from "node:child_process";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { runAgent } from "../src/agent/run-agent.ts";
import { createBackup } from "../src/backup/create-backup.ts";
import { smallParts } from "../src/backup/testing/small-parts.ts";
import { systemClock } from "../src/common/clock.ts";
import { EngineError, isEngineError } from "../src/common/errors.ts";
import { silentLog } from "../src/common/log.ts";
import { planRestore } from "../src/restore/plan-restore.ts";
import { runRestore } from "../src/restore/run-restore.ts";
import type { ObjectStore } from "../src/storage/object-store.ts";
import { faultyStore } from "../src/storage/testing/faulty-store.ts";
import { wrapStore } from "../src/storage/wrap-store.ts";
import { interceptStore, tapIterable } from "../src/storage/wrappers/intercept.ts";
import { findGaps, findUnarchived, untilDrained } from "./support/archive-audit.ts";
import { contentsAt } from "./support/restored.ts";
import { makeTables, readContents, wakeArchiver, writeSegments } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";
import { until } from "./support/until.ts";

/*
 * A store in trouble costs time: PostgreSQL goes on, what waits is shown, it drains by itself, and what was stored
 * meanwhile restores to every row.
 */

/** Runs the agent in this process on a store, wrapped as the command line wraps it. Disposing stops it. */
async function agentOn(system: System, store: ObjectStore): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const serving = Promise.withResolvers<void>();
  const ended = runAgent({
    dataDirectory: system.server.dataDirectory,
    spoolDirectory: system.spoolDirectory,
    targets: [{ repository: { ...system.repository, store: wrapped(store) }, codec: "zstd" }],
    pushCommand: ["false"],
    log: silentLog,
    signal: stop.signal,
    onServing: () => serving.resolve(),
  });
  await Promise.race([serving.promise, ended]);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}

const wrapped = (store: ObjectStore) => wrapStore(store, { log: silentLog });

async function backUp(system: System, store: ObjectStore): Promise<string> {
  await using connection = await system.server.connect();
  const { id } = await createBackup({
    repositories: [{ ...system.repository, store: wrapped(store) }],
    connection,
    options: smallParts,
    clock: systemClock,
    log: silentLog,
  });
  return id;
}

const drain = async ({ server }: System) =>
  untilDrained(server.dataDirectory, { wake: async () => wakeArchiver(server.sql) });

async function requireWholeArchive(system: System): Promise<void> {
  expect(await findUnarchived(system.repository, system.server.dataDirectory)).toEqual([]);
  expect(await findGaps(system.repository, 1024 * 1024)).toEqual([]);
}

/** What this process wrote as root becomes the server's user's, as whom the command line reads. */
async function giveRepositoryAway({ repositoryDirectory, server }: System): Promise<void> {
  const { user } = server.folder;
  if (user !== undefined)
    await promisify(execFile)("chown", ["-R", `${user.uid}:${user.gid}`, repositoryDirectory]);
}

/** A store that can be switched off. */
function switchable(inner: ObjectStore) {
  const state = { isDown: false };
  const check = (what: string): void => {
    if (state.isDown) throw new EngineError("store-unavailable", `switched off at ${what}`);
  };
  const store = interceptStore(inner, {
    call: async ({ operation }, options, run) => {
      check(operation);
      return run(options);
    },
    listing: (call, options, open) =>
      tapIterable(() => open(options), {
        step: async (next) => {
          check(call.operation);
          return next();
        },
      }),
  });
  return { store, state };
}

describe("a store in trouble", () => {
  test.each([
    ["every fifth request fails", (inner: ObjectStore) => faultyStore(inner, { probability: 0.2, seed: 7 })],
    [
      "every fifth answer is lost, and the next request finds its own work done",
      (inner: ObjectStore) => faultyStore(inner, { kind: "lost-answer", probability: 0.2, seed: 8 }),
    ],
    [
      "it is slow, and bodies are cut",
      (inner: ObjectStore) =>
        faultyStore(inner, { kind: "truncated-body", probability: 0.3, seed: 9, latencyMs: 20 }),
    ],
  ])("where %s takes WAL and a backup that restores to every row", async (_, trouble) => {
    await using system = await startSystem();
    const { server } = system;
    const store = trouble(system.repository.store);
    await makeTables(server.sql);
    {
      // The agent does not even see what was stored last; a backup that cannot see its parts would be refused.
      await using _agent = await agentOn(system, faultyStore(store, { staleKeys: 3 }));
      const load = writeSegments(server.sql, 25, 1);
      await backUp(system, store);
      await load;
      await drain(system);
    }

    expect(store.faults).toBeGreaterThan(1);
    await requireWholeArchive(system);
    await giveRepositoryAway(system);
    expect(await contentsAt(system, [])).toEqual(await readContents(server.sql));
  });

  test("that is down for a while under load holds up nothing, and what waits is shown until it has drained by itself", async () => {
    await using system = await startSystem();
    const { server } = system;
    const { store, state } = switchable(system.repository.store);
    await makeTables(server.sql);
    {
      await using _agent = await agentOn(system, store);
      await writeSegments(server.sql, 2, 1);
      await backUp(system, store);
      state.isDown = true;
      const status = async () => {
        const place = ["-D", server.dataDirectory, "--spool", system.spoolDirectory];
        const { code, stdout, stderr } = await system.run(["agent", "status", ...place]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        return stdout;
      };

      let nextId = 10;
      await until(async () => {
        await writeSegments(server.sql, 4, nextId);
        nextId += 4;
        const text = await status();
        const shown = [
          /waiting: +\d+ WAL files, [\d.]+ MiB, the oldest for /,
          /disk of pg_wal: +[\d.]+ [GM]iB free, full in .* if it goes on like this/,
          /repository main: +failing.*switched off/,
        ];
        return shown.every((pattern) => pattern.test(text)) ? undefined : text;
      });
      expect(await server.sql("SELECT max(id)::int AS id FROM t")).toEqual([{ id: nextId - 1 }]);
      expect(await findUnarchived(system.repository, server.dataDirectory)).toEqual([]);

      state.isDown = false;
      await until(async () => {
        const text = await status();
        return /waiting: +nothing/.test(text) && /repository main: +ok/.test(text) ? undefined : text;
      });
      await drain(system);
    }

    await requireWholeArchive(system);
    await giveRepositoryAway(system);
    expect(await contentsAt(system, [])).toEqual(await readContents(server.sql));
  });
});

test("a restore during which any one call to the store fails cannot be started, says so, and succeeds the next time", async () => {
  await using system = await startSystem();
  const { server, repository } = system;
  const { store } = repository;
  await makeTables(server.sql);
  {
    await using _agent = await agentOn(system, store);
    await backUp(system, store);
    await writeSegments(server.sql, 2, 1);
    await drain(system);
  }
  const dataDirectory = system.path("restored-in-trouble");
  const restore = async (through: ObjectStore): Promise<void> => {
    const plan = await planRestore({
      repositories: [{ ...repository, store: through }],
      request: { target: { kind: "latest" }, timeline: "latest", backup: "auto" },
    });
    if (plan.kind === "unreachable") throw new Error(plan.reason);
    await runRestore({
      plan,
      dataDirectory,
      tablespaceMap: new Map(),
      recovery: { restoreCommand: "false" },
      // In turn, so that the calls come in the same order every time.
      concurrency: 1,
      owner: server.folder.user,
      log: silentLog,
    });
  };

  /** How a restore ended whose nth call failed; undefined when it had fewer. */
  const failingAt = async (kind: "unavailable" | "truncated-body", failAtCall: number) => {
    const trouble = faultyStore(store, { kind, failAtCall });
    const error: unknown = await restore(trouble).catch((thrown: unknown) => thrown);
    const control = await stat(join(dataDirectory, "global/pg_control")).catch(() => undefined);
    await rm(dataDirectory, { recursive: true, force: true });
    if (trouble.faults === 0) return undefined;
    const ended = isEngineError(error) ? error.code : String(error);
    return `${ended}, ${control === undefined ? "cannot" : "can"} be started`;
  };

  for (const kind of ["unavailable", "truncated-body"] as const) {
    const outcomes: string[] = [];
    for (;;) {
      const outcome = await failingAt(kind, outcomes.length + 1);
      if (outcome === undefined) break;
      outcomes.push(outcome);
    }
    // There is one object that need not be: the keep mark. The body of what is absent cannot be cut.
    const unharmed = kind === "unavailable" ? 0 : 1;
    expect(outcomes.filter((outcome) => outcome !== "store-unavailable, cannot be started")).toEqual(
      Array.from({ length: unharmed }, () => "undefined, can be started"),
    );
    expect(outcomes.length).toBeGreaterThan(6);
  }

  await giveRepositoryAway(system);
  expect(await contentsAt(system, [])).toEqual(await readContents(server.sql));
});
