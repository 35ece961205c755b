import { chmod, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { connect } from "../../src/postgres/connection.ts";
import { formatLsn, type Lsn } from "../../src/postgres/lsn.ts";
import { descendantsOf, listProcesses } from "../../src/postgres/server-process-tree.ts";
import type { RunningServer } from "../../src/postgres/server-running.ts";
import { adoptServer, startServer } from "../../src/postgres/server.ts";
import type { Contender, RestoreCommand } from "../contenders/contender.ts";
import { archiveStatusDirectory, waitUntil, type BenchCluster } from "../data/cluster.ts";
import { markReady, waitUntilArchived } from "../data/ready.ts";
import { replayPath, type WalSupply } from "../data/wal.ts";
import { settleDisk } from "../measure/disk.ts";
import { measure, type Reading } from "../measure/meter.ts";
import { run, startResident, type CommandLine, type Surroundings } from "../measure/program.ts";
import { discard, type Kept } from "./backup.ts";
import { inRounds, orFailure, startArchiving, type Bench } from "./bench.ts";

/** Archives into each kept repository what its contender will replay. Not measured: the bursts are. */
export async function archiveReplay(
  bench: Bench,
  cluster: BenchCluster,
  kept: Kept,
  supply: WalSupply,
): Promise<void> {
  for (const [contender, repository] of kept) {
    const { lastSegment } = replayPath(supply, replayCount(bench, contender));
    bench.signal.throwIfAborted();
    bench.say(`${contender.id}: archiving the WAL to replay`);
    const ok = await orFailure(bench, "replay", contender, async () => {
      await using archiving = await startArchiving(bench, cluster, repository);
      await markReady(cluster, await writtenSegments(cluster, lastSegment));
      await waitUntilArchived(cluster, { check: archiving.check });
    });
    if (!ok) await discard(kept, contender);
  }
}

function replayCount({ options }: Bench, contender: Contender): number {
  return contender.slow ? options.sizes.slow.replay : options.sizes.replay;
}

/** All segments of pg_wal up to `last`: what is in the repository already is only compared. */
async function writtenSegments(cluster: BenchCluster, last: string): Promise<string[]> {
  const marks = await readdir(archiveStatusDirectory(cluster.dataDirectory));
  return marks
    .flatMap((mark) => /^([0-9A-F]{24})\.done$/.exec(mark)?.[1] ?? [])
    .filter((name) => name <= last)
    .sort();
}

/**
 * Restores the kept backup into an empty directory (from the command's start to its end), then starts a server on it and
 * waits until it has replayed the WAL up to the target and pauses there (from the server's start). A tool that does both
 * in one command is timed by the same two events.
 */
export async function runRestores(
  bench: Bench,
  cluster: BenchCluster,
  kept: Kept,
  supply: WalSupply,
): Promise<void> {
  await inRounds(bench, "restore", [...kept.keys()], async (contender) => {
    const repository = kept.get(contender)!;
    const replayed = replayCount(bench, contender);
    const target = replayPath(supply, replayed).targetLsn;
    const folder = await bench.workspace.makeFresh("restored");
    // Below a folder of the server's user, who writes the log beside it.
    const directory = await bench.workspace.make(join(basename(folder), "data"));
    // As PostgreSQL wants it; not every tool sets the mode of a directory that is there.
    await chmod(directory, 0o700);
    const command = await repository.restore(directory, target);
    await settleDisk();
    const trial: Trial = { bench, cluster, contender, directory, target, replayed };
    try {
      if (command.kind === "restore") await restoreThenStart(trial, command);
      else await restoreAndStart(trial, command.command);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

interface Trial {
  readonly bench: Bench;
  readonly cluster: BenchCluster;
  readonly contender: Contender;
  readonly directory: string;
  readonly target: Lsn;
  readonly replayed: number;
}

function surroundings({ bench }: Trial): Surroundings {
  return { user: bench.workspace.user, group: bench.group };
}

/** A measured piece of work, with the requests it made. */
async function measured(trial: Trial, work: () => Promise<void>): Promise<Reading> {
  const { bench, contender } = trial;
  const s3 = contender.store === "s3" ? bench.s3 : undefined;
  const before = await s3?.requests();
  const reading = await measure(bench.group, work);
  const after = await s3?.requests();
  return { ...reading, requests: before === undefined || after === undefined ? undefined : after - before };
}

async function restoreThenStart(
  trial: Trial,
  command: Extract<RestoreCommand, { kind: "restore" }>,
): Promise<void> {
  const { bench, contender, directory } = trial;
  const restored = await measured(trial, async () => {
    await run(command.command, surroundings(trial));
  });
  if (contender.abilities.has("restore")) bench.recorder.add("restore", contender, restored);
  await command.afterwards?.();
  await settleDisk();
  let server: RunningServer | undefined;
  try {
    const replayed = await measured(trial, async () => {
      server = await startServer({
        binaries: trial.cluster.binaries,
        dataDirectory: directory,
        settings: { archive_mode: "off" },
        environment: command.serverEnvironment,
        readyTimeoutMs: 0,
      });
      await joinGroup(bench, server.pid);
      await server.waitUntilReady();
      await untilPaused(server.connection, trial.target);
    });
    bench.recorder.add("replay", contender, { ...replayed, units: trial.replayed });
  } finally {
    await server?.stop("immediate");
  }
}

/** The server has started when it has written its postmaster.pid. */
async function restoreAndStart(trial: Trial, command: CommandLine): Promise<void> {
  const { bench, contender, directory } = trial;
  const resident = startResident(command, surroundings(trial));
  let server: RunningServer | undefined;
  try {
    const restored = await measured(trial, async () => {
      const started = async () => {
        server = await adoptServer({ dataDirectory: directory });
        if (server === undefined) resident.check();
        return server !== undefined;
      };
      await waitUntil("the restored server to start", started, { timeoutMs: 900_000, intervalMs: 5 });
    });
    bench.recorder.add("restore", contender, restored);
    const replayed = await measured(trial, async () => {
      await server?.waitUntilReady();
      // Only now does postmaster.pid say how to connect.
      server = await adoptServer({ dataDirectory: directory });
      await untilPaused(server!.connection, trial.target);
    });
    bench.recorder.add("replay", contender, { ...replayed, units: trial.replayed });
  } finally {
    await resident.ended(60_000);
    await server?.stop("immediate");
  }
}

/** The server and what it has started by now; restore_command runs below its startup process. */
async function joinGroup({ group }: Bench, postmasterPid: number): Promise<void> {
  if (group === undefined) return;
  await group.add(postmasterPid);
  for (const pid of descendantsOf(postmasterPid, await listProcesses())) {
    await group.add(pid).catch(() => undefined);
  }
}

async function untilPaused(connection: RunningServer["connection"], target: Lsn): Promise<void> {
  await using sql = await connect(connection);
  await waitUntil(
    "the end of replay",
    async () => {
      const [row] = await sql.query<{ paused: boolean; reached: boolean }>(
        `SELECT pg_is_wal_replay_paused() AS paused, pg_last_wal_replay_lsn() >= '${formatLsn(target)}' AS reached`,
      );
      if (row?.paused === true && !row.reached) throw new Error("replay paused before the target");
      return row?.paused === true;
    },
    { timeoutMs: 900_000, intervalMs: 10 },
  );
}
