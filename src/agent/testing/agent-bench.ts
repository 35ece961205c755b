import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { temporaryFolder, testRepository } from "../../archive/testing/archive-bench.ts";
import { makeSegment, type MadeUpSegment } from "../../archive/testing/wal-files.ts";
import type { ArchiveTarget } from "../../archive/archive-target.ts";
import { silentLog } from "../../common/log.ts";
import { parseControlFile } from "../../postgres/control-file.ts";
import type { PostgresMajor } from "../../postgres/majors.ts";
import { readFixture } from "../../postgres/testing/fixtures.ts";
import { EngineError } from "../../common/errors.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { interceptStore } from "../../storage/wrappers/intercept.ts";
import { runAgent, type AgentOptions, type ServingAgent } from "../run-agent.ts";

/** A data directory as far as the agent looks at one: a real control file, and WAL that no server wrote. */
export interface FakeCluster {
  readonly dataDirectory: string;
  readonly walDirectory: string;
  /** Writes a segment and marks it ready. */
  finish(segment: Omit<MadeUpSegment, "system" | "sizeBytes">): Promise<Buffer>;
  ready(name: string, content: Uint8Array | string): Promise<void>;
  /** What PostgreSQL does when `archive_command` has succeeded. */
  done(name: string): Promise<void>;
}

/** Odd majors have segments of 1 MiB, even ones of 16. */
export async function fakeCluster(major: PostgresMajor = 17, directory?: string): Promise<FakeCluster> {
  const dataDirectory = directory ?? join(await temporaryFolder(), "data");
  const walDirectory = join(dataDirectory, "pg_wal");
  const status = join(walDirectory, "archive_status");
  await mkdir(status, { recursive: true });
  await mkdir(join(dataDirectory, "global"), { recursive: true });
  const control = await readFixture(major, "pg_control");
  const { systemIdentifier: system, walSegmentSizeBytes: sizeBytes } = parseControlFile(control);
  await writeFile(join(dataDirectory, "global", "pg_control"), control);
  const ready = async (name: string, content: Uint8Array | string) => {
    await writeFile(join(walDirectory, name), content);
    await writeFile(join(status, `${name}.ready`), "");
  };
  return {
    dataDirectory,
    walDirectory,
    finish: async (segment) => {
      const content = makeSegment({ ...segment, system, sizeBytes });
      await ready(segment.name, content);
      return content;
    },
    ready,
    done: async (name) => rename(join(status, `${name}.ready`), join(status, `${name}.done`)),
  };
}

/** Starts an agent that ends with the test, and waits until it serves. */
export async function startAgent(
  options: Pick<AgentOptions, "dataDirectory" | "targets"> & Partial<AgentOptions>,
): Promise<
  ServingAgent & { readonly spoolDirectory: string; stop(): Promise<void>; readonly ended: Promise<void> }
> {
  const spoolDirectory = options.spoolDirectory ?? join(await temporaryFolder(), "spool");
  const controller = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  const serving = await new Promise<ServingAgent>((resolve, reject) => {
    ended = runAgent({
      spoolDirectory,
      pushCommand: ["false"],
      log: silentLog,
      signal: controller.signal,
      ...options,
      onServing: resolve,
    });
    ended.catch(reject);
  });
  const stop = async () => {
    controller.abort();
    await ended;
  };
  onTestFinished(async () => {
    await stop().catch(() => undefined);
    await rm(spoolDirectory, { recursive: true, force: true });
  });
  return { ...serving, spoolDirectory, stop, ended };
}

export function targetOf(store: ObjectStore, name = "main"): ArchiveTarget {
  return { repository: testRepository(store, name), codec: "zstd" };
}

/** A store that is down while `isDown`. */
export function switchedStore(inner: ObjectStore): ObjectStore & { isDown: boolean } {
  const state = { isDown: false };
  const check = () => {
    if (state.isDown) throw new EngineError("store-unavailable", "the store is down");
  };
  const store = interceptStore(inner, {
    call: async (_call, options, run) => {
      check();
      return run(options);
    },
    listing: (_call, options, open) => {
      check();
      return open(options);
    },
  });
  return Object.defineProperty(store, "isDown", {
    get: () => state.isDown,
    set: (value: boolean) => {
      state.isDown = value;
    },
  }) as ObjectStore & { isDown: boolean };
}

/** Waits until the expectation holds. */
export async function eventually(expectation: () => Promise<void>): Promise<void> {
  await vi.waitFor(expectation, { timeout: 20_000, interval: 50 });
}
