import { expect, test } from "vitest";
import { mapConcurrent } from "../src/common/concurrency.ts";
import { findGaps, findUnarchived, untilDrained } from "./support/archive-audit.ts";
import type { StartedProgram } from "./support/programs.ts";
import { contentsAt, restoreAndStart, type Restored } from "./support/restored.ts";
import { addRow, makeTables, readContents, type Moment } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";

/** What was written on one timeline: it is left behind `kept`, and `abandoned` is what the next one must not have. */
interface Chapter {
  readonly timeline: number;
  readonly kept: Moment;
  readonly abandoned: Moment;
}

/** A server with the agent beside it. */
interface Running {
  readonly dataDirectory: string;
  readonly sql: Restored["sql"];
}

/** Row 10 n, by which timeline n is left, and row 10 n + 1 in a segment behind it. */
async function write({ dataDirectory, sql }: Running, timeline: number): Promise<Chapter> {
  const kept = await addRow(sql, timeline * 10);
  await sql("SELECT pg_switch_wal()");
  const abandoned = await addRow(sql, timeline * 10 + 1);
  await sql("SELECT pg_switch_wal()");
  await untilDrained(dataDirectory);
  return { timeline, kept, abandoned };
}

/** Stops archiving on the old server and restores its past; the restored server archives where the old one did. */
async function continueFrom(
  system: System,
  agent: StartedProgram,
  { timeline, kept }: Chapter,
): Promise<{ readonly restored: Restored; readonly agent: StartedProgram }> {
  await agent.end("SIGTERM");
  const target = ["--to-lsn", kept.lsn, "--timeline", String(timeline)];
  const restored = await restoreAndStart(system, [...target, "--archiving", "keep"]);
  return { restored, agent: await system.agent({ dataDirectory: restored.dataDirectory }) };
}

test(
  "a restore of a restore of a restore, each archiving on into the same repository: every moment of five timelines can be had",
  { timeout: 300_000 },
  async () => {
    await using system = await startSystem();
    await using stack = new AsyncDisposableStack();
    let agent = stack.use(await system.agent());
    const { server } = system;
    await makeTables(server.sql);
    await addRow(server.sql, 1);
    await system.json(["base", "create", "-D", server.dataDirectory, "--name", "of-one"]);

    const chapters = [await write({ dataDirectory: server.dataDirectory, sql: server.sql }, 1)];
    const { bulk } = (await readContents(server.sql)) ?? { bulk: "" };
    await server.server.stop("fast");
    for (let timeline = 2; timeline <= 5; timeline++) {
      const last = chapters.at(-1);
      if (last === undefined) throw new Error("no chapter");
      const next = await continueFrom(system, agent, last);
      const { restored } = next;
      stack.use(restored);
      agent = stack.use(next.agent);
      expect(restored.report.recovery?.newTimeline).toBe(timeline);
      if (timeline === 3)
        await system.json(["base", "create", "-D", restored.dataDirectory, "--name", "of-three"]);
      chapters.push(await write({ dataDirectory: restored.dataDirectory, sql: restored.sql }, timeline));
      expect(await findUnarchived(system.repository, restored.dataDirectory)).toEqual([]);
      await restored.server.stop("fast");
    }
    await agent.end("SIGTERM");

    expect(await findGaps(system.repository, 1024 * 1024)).toEqual([]);
    const kept = (through: number) => [1, ...[10, 20, 30, 40, 50].slice(0, through)];
    const at = async (...args: string[]) => contentsAt(system, args);
    await mapConcurrent(chapters, 2, async ({ timeline, kept: moment, abandoned }) => {
      const ids = kept(timeline);
      const onIt = ["--timeline", String(timeline)];
      expect(await at(...onIt, "--to-latest")).toEqual({ ids: [...ids, abandoned.id], bulk });
      const earlier =
        timeline % 2 === 0 ? ["--to-time", moment.time] : ["--to-xid", abandoned.xid, "--exclusive"];
      expect(await at(...onIt, ...earlier)).toEqual({ ids, bulk });
    });
    // The newest timeline's own past, from the backup of the first and from that of the third.
    await mapConcurrent(["of-one", "of-three"], 2, async (backup) => {
      expect(await at("--backup", backup)).toEqual({ ids: [...kept(5), 51], bulk });
    });
    // The time at which the row on an abandoned branch was written belongs, on the newest timeline, to its parent.
    const [, second, third] = chapters;
    expect(await at("--to-time", third?.kept.time ?? "", "--backup", "of-one")).toEqual({
      ids: kept(3),
      bulk,
    });
    // A position that the newest timeline left before: there is no such moment on it, and that is said beforehand.
    const refused = await system.run([
      "base",
      "restore",
      system.path("refused"),
      "--to-xid",
      second?.abandoned.xid ?? "",
      "--timeline",
      "2",
      "--backup",
      "of-three",
    ]);
    expect(refused).toMatchObject({ code: 50, stderr: expect.stringContaining("this cannot be restored") });
  },
);
