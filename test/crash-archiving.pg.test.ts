import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spoolRootOf } from "../src/agent/spool.ts";
import { descendantsOf, listProcesses, sendSignal } from "../src/postgres/server-process-tree.ts";
import { findGaps, findUnarchived, readMarks, readStored, untilDrained } from "./support/archive-audit.ts";
import { contentsAt } from "./support/restored.ts";
import { makeTables, readContents, wakeArchiver, writeSegments } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";
import { until } from "./support/until.ts";

/*
 * Acknowledged means durable: whatever is killed while WAL is archived, what PostgreSQL has marked as archived is in the
 * repository, byte for byte, and the rest follows.
 */

let system: System;
let nextId = 1;

beforeAll(async () => {
  system = await startSystem();
  await makeTables(system.server.sql);
  await using _agent = await system.agent();
  await system.json(["base", "create", "-D", system.server.dataDirectory]);
});
afterAll(async () => system[Symbol.asyncDispose]());

const write = async (segments: number): Promise<void> => {
  await writeSegments(system.server.sql, segments, nextId);
  nextId += segments;
};
const wake = async () => wakeArchiver(system.server.sql);
const unarchived = async () => findUnarchived(system.repository, system.server.dataDirectory);
const marks = async () => readMarks(system.server.dataDirectory);

/** An agent drains what is left, and the archive is whole. */
async function requireDrained(): Promise<void> {
  await using _agent = await system.agent();
  await untilDrained(system.server.dataDirectory, { wake });
  expect(await unarchived()).toEqual([]);
  await untilWhole();
}

/** A segment that PostgreSQL left without a mark is found by a look that the agent takes now and then. */
async function untilWhole(): Promise<void> {
  const gaps = async () => findGaps(system.repository, 1024 * 1024);
  await until(async () => {
    const missing = await gaps();
    return missing.length === 0 ? undefined : `the archive lacks ${missing.join(", ")}`;
  });
  expect(await gaps()).toEqual([]);
}

/** The processes of `archive_command`, from its shell on: what runs below the archiver. */
async function archiveClients(): Promise<number[]> {
  const processes = await listProcesses();
  const { pid } = system.server.server;
  const children = processes.filter(({ parent }) => parent === pid).map(({ pid }) => pid);
  return children.flatMap((child) => descendantsOf(child, processes));
}

/** Waits for a client, gives it some time, and kills it. */
async function killClients(afterMs = 0): Promise<void> {
  await until(async () => ((await archiveClients()).length > 0 ? undefined : "no archive_command runs"));
  await sleep(afterMs);
  for (const pid of await archiveClients()) sendSignal(pid, "SIGKILL");
}

describe("the agent killed", () => {
  test.each(["archive:before-store", "archive:after-store", "agent:before-ack", "agent:after-ack"])(
    "at %s, again and again, loses nothing that PostgreSQL was told is archived",
    async (faultPoint) => {
      const before = (await marks()).done.length;
      for (let round = 0; round < 3; round++) {
        const agent = await system.agent({ faultPoint });
        await write(3);

        expect(await agent.ended).toMatchObject({ signal: "SIGKILL" });
        expect(await unarchived()).toEqual([]);
      }

      await requireDrained();
      expect((await marks()).done.length).toBeGreaterThanOrEqual(before + 6);
    },
  );

  test("at any moment of a burst loses nothing", async () => {
    const burst = write(30);
    for (let round = 0; round < 4; round++) {
      await using agent = await system.agent();
      await sleep(Math.random() * 300);
      await agent.end("SIGKILL");
      expect(await unarchived()).toEqual([]);
    }
    await burst;

    await requireDrained();
  });
});

describe("the client that PostgreSQL runs killed", () => {
  test("while it waits for an agent that hangs is no acknowledgement", async () => {
    await using agent = await system.agent();
    agent.send("SIGSTOP");
    const { done } = await marks();
    await write(2);

    await killClients();

    expect((await marks()).done).toEqual(done);
    agent.send("SIGCONT");
    await agent.end("SIGTERM");
    await system.server.restart();
    await requireDrained();
  });

  test("at any moment while it archives by itself is no acknowledgement", async () => {
    for (let round = 0; round < 4; round++) {
      // However many the round before let through, there is something to archive.
      await write(2);
      await killClients(Math.random() * 500);
      expect(await unarchived()).toEqual([]);
      await system.server.restart();
    }

    await requireDrained();
  });

  test.each(["archive:before-store", "archive:after-store"])(
    "at %s, without an agent, is no acknowledgement",
    async (faultPoint) => {
      await system.server.restart({ environment: { TIDEMARK_FAULT_POINT: faultPoint } });
      const { done } = await marks();
      await write(2);
      await until(async () => {
        const [row] = await system.server.sql<{ failed: number }>(
          "SELECT failed_count::int AS failed FROM pg_stat_archiver",
        );
        return (row?.failed ?? 0) > 0 ? undefined : "archive_command was not killed yet";
      });

      expect((await marks()).done).toEqual(done);
      await system.server.restart();
      await requireDrained();
    },
  );
});

test("PostgreSQL killed in the middle of a burst goes on archiving where it was", async () => {
  await using _agent = await system.agent();
  for (let round = 0; round < 3; round++) {
    const burst = write(1000).catch((error: unknown) => error);
    await sleep(100 + Math.random() * 300);
    await system.server.server.kill();
    expect(await burst).toBeInstanceOf(Error);

    await system.server.restart();
    const [row] = await system.server.sql<{ next: number }>("SELECT max(id) + 1 AS next FROM t");
    nextId = row?.next ?? 1;
    await untilDrained(system.server.dataDirectory, { wake });
    expect(await unarchived()).toEqual([]);
  }

  await untilWhole();
});

test("a segment that a killed PostgreSQL finished and never marked is archived all the same", async () => {
  await requireDrained();
  const { done } = await marks();
  const name = done.filter((mark) => /^[0-9A-F]{24}$/.test(mark)).at(-3) ?? "";
  const local = await readFile(join(system.server.dataDirectory, "pg_wal", name));
  // As it is when the server dies between the segment and its mark: nobody knows of it.
  await rm(join(system.server.dataDirectory, "pg_wal", "archive_status", `${name}.done`));
  for await (const entry of system.repository.store.list("main/wals/")) {
    if (entry.kind === "object" && entry.key.includes(name))
      await system.repository.store.delete([entry.key]);
  }
  expect(await findGaps(system.repository, 1024 * 1024)).toEqual([name]);

  await using _agent = await system.agent();
  await untilWhole();

  expect(await readStored(system.repository, name)).toEqual(local);
});

describe("a segment that has other content than when it was acknowledged", () => {
  const statusPath = (name: string, status: "done" | "ready") =>
    join(system.server.dataDirectory, "pg_wal", "archive_status", `${name}.${status}`);

  /** A segment that PostgreSQL was told is archived, and whose acknowledgement nobody took away. */
  async function leaveAcknowledgement(): Promise<{ readonly name: string; readonly ackPath: string }> {
    const ack = join(spoolRootOf(system.spoolDirectory, system.systemIdentifier), "ack");
    // Segments that PostgreSQL never marked keep theirs: nobody will ask for them.
    const ofMarked = async () => {
      const { done } = await marks();
      return (await readdir(ack)).filter((name) => done.includes(name));
    };
    await requireDrained();
    for (const name of await ofMarked()) await rm(join(ack, name));
    await using killed = await system.agent({ faultPoint: "agent:after-ack" });
    await killed.says('"archiving"');
    await write(1);
    expect(await killed.ended).toMatchObject({ signal: "SIGKILL" });
    await untilDrained(system.server.dataDirectory, { wake });
    const [name = ""] = await ofMarked();
    expect(name).not.toBe("");
    return { name, ackPath: join(ack, name) };
  }

  const untilAskedFor = async (name: string) =>
    until(async () => {
      const [row] = await system.server.sql<{ failed: string | null }>(
        "SELECT last_failed_wal AS failed FROM pg_stat_archiver WHERE last_failed_time > pg_postmaster_start_time()",
      );
      return row?.failed === name ? undefined : "not refused yet";
    });

  // Milliseconds from the end of the second in which it was acknowledged: the first ones outside on either side.
  test.each([
    ["written again, without an agent", { laterMs: 0, withAgent: false }],
    ["written again, beside an agent", { laterMs: 0, withAgent: true }],
    // As `cp -a` and snapshots bring it back.
    ["put back with an older time, without an agent", { laterMs: -1001, withAgent: false }],
    ["put back with an older time, beside an agent", { laterMs: -1001, withAgent: true }],
  ])(
    "because it was %s is refused, and archived when it is itself again",
    async (_, { laterMs, withAgent }) => {
      const { name, ackPath } = await leaveAcknowledgement();
      await system.server.server.stop("fast");
      const path = join(system.server.dataDirectory, "pg_wal", name);
      const good = await readFile(path);
      const other = Buffer.from(good);
      other.writeUInt8(other.readUInt8(300_000) ^ 1, 300_000);
      await writeFile(path, other);
      const time = new Date((await stat(ackPath)).mtimeMs + laterMs);
      await utimes(path, time, time);
      await rename(statusPath(name, "done"), statusPath(name, "ready"));
      {
        await using _agent = withAgent ? await system.agent() : undefined;
        await system.server.restart();

        await untilAskedFor(name);

        expect((await marks()).ready).toContain(name);
        expect(await readStored(system.repository, name)).toEqual(good);
        expect(await readFile(system.server.logFile, "utf8")).toMatch(
          new RegExp(`${name}.* with other content`),
        );
      }

      await writeFile(path, good);
      await system.server.restart();
      await requireDrained();
      expect((await marks()).done).toContain(name);
    },
  );
});

test("after all of this the archive restores to what the server holds", async () => {
  const end = await readContents(system.server.sql);
  await write(1);
  await requireDrained();

  const restored = await contentsAt(system, ["--to-latest"]);

  expect(restored).toEqual({ ...end, ids: [...(end?.ids ?? []), nextId - 1] });
  expect(end?.ids.length).toBeGreaterThan(60);
});
