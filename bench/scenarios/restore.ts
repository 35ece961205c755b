import { chmod, readdir, rm } from "node:fs/promises";
import type { Contender, OpenRepository, RestoreCommand } from "../contenders/contender.ts";
import { connect } from "../../src/postgres/connection.ts";
import { descendantsOf, listProcesses } from "../../src/postgres/server-process-tree.ts";
import { startServer } from "../../src/postgres/server.ts";
import type { RunningServer } from "../../src/postgres/server-running.ts";
import { formatLsn, type Lsn } from "../../src/postgres/lsn.ts";
import { archiveStatusDirectory, clusterSettings, waitUntil, type BenchCluster } from "../data/cluster.ts";
import { markReady, waitUntilArchived } from "../data/ready.ts";
import { replayPath, type WalSupply } from "../data/wal.ts";
import { settleDisk } from "../measure/disk.ts";
import { measure } from "../measure/meter.ts";
import { run } from "../measure/program.ts";
import type { Kept } from "./backup.ts";
import { inRounds, startArchiving, withStoreFacts, type Bench } from "./bench.ts";

/** Archives into each kept repository what its contender will replay. Not measured: the bursts are. */
export async function archiveReplay(
  bench: Bench,
  cluster: BenchCluster,
  kept: Kept,
  supply: WalSupply,
): Promise<void> {
  for (const [contender, repository] of kept) {
    const { lastSegment } = replayPath(supply, replayCount(bench, contender));
    bench.say(`${contender.title}: archiving the WAL to replay`);
    await using archiving = await startArchiving(bench, cluster, repository);
    await markReady(cluster, await writtenSegments(cluster, lastSegment));
    await waitUntilArchived(cluster, { check: archiving.check });
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
 * waits until it has replayed the WAL up to the target and pauses there (from the server's start).
 */
export async function runRestores(
  bench: Bench,
  cluster: BenchCluster,
  kept: Kept,
  supply: WalSupply,
): Promise<void> {
  await inRounds(bench, [...kept.keys()], async (contender) => {
    const repository = kept.get(contender)!;
    const replayed = replayCount(bench, contender);
    const target = replayPath(supply, replayed).targetLsn;
    const restored = await bench.workspace.makeFresh("restored");
    // As PostgreSQL wants it; not every tool sets the mode of a directory that is there.
    await chmod(restored, 0o700);
    try {
      const command = await restoreInto(bench, contender, repository, restored, target);
      await replay(bench, cluster, contender, { restored, target, replayed, command });
    } finally {
      await rm(restored, { recursive: true, force: true });
    }
  });
}

async function restoreInto(
  bench: Bench,
  contender: Contender,
  repository: OpenRepository,
  directory: string,
  target: Lsn,
): Promise<RestoreCommand> {
  const command = await repository.restore(directory, target);
  await settleDisk();
  const reading = await withStoreFacts(bench, contender, repository, () =>
    measure(bench.group, async () => {
      await run(command.command, { user: bench.workspace.user, group: bench.group });
    }),
  );
  bench.recorder.add("restore", contender, { ...reading, storedBytes: undefined });
  await command.afterwards?.();
  return command;
}

async function replay(
  bench: Bench,
  cluster: BenchCluster,
  contender: Contender,
  at: {
    readonly restored: string;
    readonly target: Lsn;
    readonly replayed: number;
    readonly command: RestoreCommand;
  },
): Promise<void> {
  await settleDisk();
  const resident = await at.command.startResident?.();
  let server: RunningServer | undefined;
  try {
    const requestsBefore = contender.store === "s3" ? await bench.s3?.requests() : undefined;
    const reading = await measure(bench.group, async () => {
      server = await startServer({
        binaries: cluster.binaries,
        dataDirectory: at.restored,
        settings: { ...clusterSettings, archive_mode: "off" },
        environment: at.command.serverEnvironment,
        readyTimeoutMs: 0,
      });
      await joinGroup(bench, server.pid);
      await server.waitUntilReady();
      await untilPaused(server, at.target);
    });
    const requestsAfter = contender.store === "s3" ? await bench.s3?.requests() : undefined;
    const requests =
      requestsBefore === undefined || requestsAfter === undefined
        ? undefined
        : requestsAfter - requestsBefore;
    bench.recorder.add("replay", contender, { ...reading, requests, units: at.replayed });
  } finally {
    await server?.stop("immediate");
    await resident?.stop();
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

async function untilPaused(server: RunningServer, target: Lsn): Promise<void> {
  await using sql = await connect(server.connection);
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
