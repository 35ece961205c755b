import { readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { fetchWalFile } from "../../src/archive/wal-file.ts";
import { segmentsBetween } from "../../src/postgres/wal-file-name.ts";
import type { Repository } from "../../src/repository/repository.ts";
import { readWalInventory } from "../../src/repository/wal-inventory.ts";
import { until } from "./until.ts";

/** What PostgreSQL believes about its WAL files, by the marks in `archive_status`. */
export interface ArchiveMarks {
  readonly done: readonly string[];
  readonly ready: readonly string[];
}

export async function readMarks(dataDirectory: string): Promise<ArchiveMarks> {
  const names = await readdir(join(dataDirectory, "pg_wal", "archive_status"));
  const marked = (ending: string) =>
    names.filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length));
  return { done: marked(".done").sort(), ready: marked(".ready").sort() };
}

/**
 * Compares every file that PostgreSQL has marked as archived with what the repository gives back for it. Names what is
 * missing or different: an empty list is what must be. The WAL must be kept in pg_wal (`startSystem` does).
 */
export async function findUnarchived(repository: Repository, dataDirectory: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const name of (await readMarks(dataDirectory)).done) {
    const local = await readFile(join(dataDirectory, "pg_wal", name));
    const stored = await readStored(repository, name);
    if (stored === undefined) wrong.push(`${name} is not in the repository`);
    else if (!stored.equals(local)) wrong.push(`${name} has other content in the repository`);
  }
  return wrong;
}

/** A WAL file as the repository delivers it; undefined when it is absent. */
export async function readStored(repository: Repository, name: string): Promise<Buffer | undefined> {
  const destination = join(tmpdir(), `tidemark-audit-${randomUUID()}`);
  try {
    const { kind } = await fetchWalFile({ name, destination, repositories: [repository] });
    return kind === "absent" ? undefined : await readFile(destination);
  } finally {
    await rm(destination, { force: true });
  }
}

/** The segments that are missing between a timeline's first and last one in the repository. */
export async function findGaps(repository: Repository, segmentSizeBytes: number): Promise<string[]> {
  const { segments } = await readWalInventory(repository);
  const byTimeline = Map.groupBy([...segments.keys()].sort(), (name) => name.slice(0, 8));
  return [...byTimeline.values()].flatMap((names) => {
    const [first, last] = [names[0], names.at(-1)];
    if (first === undefined || last === undefined) return [];
    return [...segmentsBetween(first, last, segmentSizeBytes)].filter((name) => !segments.has(name));
  });
}

/**
 * Waits until PostgreSQL has nothing left to archive. After three failures its archiver sleeps up to a minute
 * (PGARCH_AUTOWAKE_INTERVAL in pgarch.c), unless a new segment wakes it: `wake` makes one, now and then.
 */
export async function untilDrained(
  dataDirectory: string,
  { wake, timeoutMs = 60_000 }: { readonly wake?: () => Promise<unknown>; readonly timeoutMs?: number } = {},
): Promise<void> {
  let wokenAtMs = performance.now();
  await until(
    async () => {
      const { ready } = await readMarks(dataDirectory);
      if (ready.length === 0) return undefined;
      if (wake !== undefined && performance.now() - wokenAtMs > 4000) {
        await wake();
        wokenAtMs = performance.now();
      }
      return `PostgreSQL still waits for ${ready.join(", ")}`;
    },
    { timeoutMs },
  );
}
