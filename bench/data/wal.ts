import { mib } from "../../src/common/units.ts";
import { parseLsn, type Lsn } from "../../src/postgres/lsn.ts";
import {
  nextSegmentName,
  parseWalSegmentName,
  segmentsBetween,
  segmentStartLsn,
  type WalSegmentName,
} from "../../src/postgres/wal-file-name.ts";
import type { ServerUser } from "../../src/postgres/server-process.ts";
import type { BenchCluster } from "./cluster.ts";
import { hardRow, pgbench } from "./load.ts";

const segmentBytes = 16 * mib;

/** WAL that a server has written once and that stays in its pg_wal, to be archived as often as needed. */
export interface WalSupply {
  /** Of pgbench's own load; compresses 9:1 to 15:1. */
  readonly easy: readonly WalSegmentName[];
  /** Of inserts of `hard` rows; compresses 2:1. */
  readonly hard: readonly WalSegmentName[];
  /** Every segment from the first to the last, those between the others included. */
  readonly all: readonly WalSegmentName[];
}

/**
 * Writes WAL: first `easyFirst` easy segments, then all the hard ones, then the other easy ones. So a server restored from
 * a backup taken before meets both kinds soon.
 */
export async function writeWal(
  cluster: BenchCluster,
  user: ServerUser | undefined,
  wanted: { readonly easyFirst: number; readonly easy: number; readonly hard: number },
): Promise<WalSupply> {
  const easyLoad = () => pgbench(cluster, user, ["-n", "-N", "-c", "4", "-j", "2", "-T", "5"]);
  const first = await writeSegments(cluster, wanted.easyFirst, easyLoad);
  await cluster.sql.query("CREATE TABLE hard_wal (id bigint, digest text, x float8, y float8, z float8)");
  const hard = await writeSegments(cluster, wanted.hard, () => insertHard(cluster, 500_000));
  await cluster.sql.query("TRUNCATE hard_wal");
  const rest = await writeSegments(cluster, wanted.easy - wanted.easyFirst, easyLoad);
  await cluster.sql.query("CHECKPOINT");
  await switchSegment(cluster);
  return {
    easy: [...first, ...rest],
    hard,
    all: [...segmentsBetween(first[0]!, rest.at(-1)!, segmentBytes)],
  };
}

/** About 6.5 segments per 500,000 rows. */
async function insertHard(cluster: BenchCluster, rows: number): Promise<void> {
  await cluster.sql.query(`INSERT INTO hard_wal SELECT g, ${hardRow} FROM generate_series(1, ${rows}) AS g`);
}

/** Runs `load` until `count` whole segments are full. What it wrote beyond them stays in pg_wal and is not used. */
async function writeSegments(
  cluster: BenchCluster,
  count: number,
  load: () => Promise<void>,
): Promise<WalSegmentName[]> {
  if (count <= 0) return [];
  // After a checkpoint, WAL holds whole pages, as it does on a busy server.
  await cluster.sql.query("CHECKPOINT");
  const names = [await switchSegment(cluster)];
  while (names.length < count) names.push(nextSegmentName(names.at(-1)!, segmentBytes));
  const end = segmentStartLsn(names.at(-1)!, segmentBytes) + BigInt(segmentBytes);
  while ((await currentLsn(cluster)) < end) {
    await load();
    await cluster.sql.query("CHECKPOINT");
  }
  return names;
}

/** Ends the current segment and returns the name of the one that follows. */
async function switchSegment(cluster: BenchCluster): Promise<WalSegmentName> {
  const [row] = await cluster.sql.query<{ name: string }>("SELECT pg_walfile_name(pg_switch_wal()) AS name");
  return nextSegmentName(parseWalSegmentName(row?.name ?? ""), segmentBytes);
}

async function currentLsn(cluster: BenchCluster): Promise<Lsn> {
  const [row] = await cluster.sql.query<{ lsn: string }>("SELECT pg_current_wal_lsn()::text AS lsn");
  return parseLsn(row?.lsn ?? "");
}

/** Writes almost a whole segment of hard WAL and ends it; the name of that segment. Its switch is the moment of `.ready`. */
export async function fillSegment(cluster: BenchCluster): Promise<() => Promise<WalSegmentName>> {
  await switchSegment(cluster);
  await insertHard(cluster, 60_000);
  return async () => {
    const [row] = await cluster.sql.query<{ name: string }>(
      "SELECT pg_walfile_name(pg_switch_wal()) AS name",
    );
    return parseWalSegmentName(row?.name ?? "");
  };
}

/** What a server restored from a backup taken before the supply replays. */
export interface ReplayPath {
  /** It is over with the first record from here on. */
  readonly targetLsn: Lsn;
  /** The segment of that record. */
  readonly lastSegment: WalSegmentName;
}

/** A path through the first `count` segments of `all`, which has more than that. */
export function replayPath(supply: WalSupply, count: number): ReplayPath {
  const lastSegment = supply.all[count]!;
  return { targetLsn: segmentStartLsn(lastSegment, segmentBytes), lastSegment };
}
