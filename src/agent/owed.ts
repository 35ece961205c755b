import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { systemClock, type Clock } from "../common/clock.ts";
import { writeDurableFile } from "../common/durable-file.ts";
import { describeError, EngineError, fileError, isEngineError, systemErrorCode } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { fetchWal } from "../archive/fetch-wal.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { pushWal, type PushContext } from "../archive/push-wal.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import { spoolNames, type Spool } from "./spool.ts";

/** A WAL file that was acknowledged while some repositories were without it. */
export interface Owed {
  readonly file: WalFileName;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** The repositories that are still without it. */
  readonly repositories: readonly string[];
}

const schema = z.object({
  sizeBytes: z.number().int(),
  mtimeNs: z.string().regex(/^\d+$/),
  repositories: z.array(z.string()),
});

/**
 * What the policy let us acknowledge early. Written durably before the acknowledgement, because PostgreSQL forgets the
 * file after it; then nobody else knows that a repository has a gap.
 */
export class OwedBook {
  readonly #spool: Spool;
  #known: Map<string, Owed> | undefined;
  /** Files that cannot be had or are refused, and when to try again. */
  readonly #resting = new Map<string, number>();

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  async all(): Promise<readonly Owed[]> {
    return [...(await this.#load()).values()];
  }

  /** What is owed of this WAL file, if anything is. */
  async of(name: string): Promise<Owed | undefined> {
    return (await this.#load()).get(name);
  }

  async write(owed: Owed): Promise<void> {
    const known = await this.#load();
    const path = join(this.#spool.owed, owed.file.name);
    if (owed.repositories.length === 0) {
      await rm(path, { force: true });
      known.delete(owed.file.name);
      this.#resting.delete(owed.file.name);
      return;
    }
    const { sizeBytes, mtimeNs, repositories } = owed;
    await writeDurableFile(
      path,
      `${JSON.stringify({ sizeBytes, mtimeNs: mtimeNs.toString(), repositories })}\n`,
      0o600,
      this.#spool.owner,
    );
    known.set(owed.file.name, owed);
  }

  /** Leaves a file alone until then, on the scale of `isResting`. It stays owed. */
  rest(name: string, untilMs: number): void {
    this.#resting.set(name, untilMs);
  }

  isResting(name: string, nowMs: number): boolean {
    return (this.#resting.get(name) ?? nowMs) > nowMs;
  }

  async #load(): Promise<Map<string, Owed>> {
    if (this.#known !== undefined) return this.#known;
    const known = new Map<string, Owed>();
    for (const name of (await spoolNames(this.#spool.owed)).sort()) {
      const file = parseWalFileName(name);
      if (file === undefined) continue;
      known.set(name, await readOwed(join(this.#spool.owed, name), file));
    }
    this.#known ??= known;
    return this.#known;
  }
}

/** A note that cannot be read is no reason to forget that there is one. Throws `file-io`. */
async function readOwed(path: string, file: WalFileName): Promise<Owed> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError("read", path, error);
  }
  try {
    const value = schema.parse(JSON.parse(text));
    return { file, ...value, mtimeNs: BigInt(value.mtimeNs) };
  } catch (cause) {
    throw new EngineError("file-io", `could not read "${path}": it does not say what is owed`, {
      cause,
      hint: `The repositories that were down when WAL file "${file.name}" was archived may be without it: look whether they have it, then remove the note.`,
    });
  }
}

export interface HealOptions {
  readonly book: OwedBook;
  readonly spool: Spool;
  readonly walDirectory: string;
  readonly targets: readonly ArchiveTarget[];
  readonly expected: ExpectedSystem;
  readonly context: PushContext;
  readonly log: Log;
  /** Whether a repository may be tried now. */
  readonly isAvailable: (repository: string) => boolean;
  readonly onOutcome: (repository: string, error: EngineError | undefined) => void;
  readonly clock?: Clock;
}

/** How long a file is left alone that nobody has any more, or that is refused: no fault of a repository. */
const hopelessRestMs = 600_000;

/**
 * Brings what is owed to the repositories that were down: from pg_wal while the file is still there, else from another
 * repository. One round over everything owed; a repository that is down is left alone for the rest of the round. A file
 * that cannot be brought there for reasons of its own holds up no other.
 */
export async function healOwed(options: HealOptions, signal?: AbortSignal): Promise<void> {
  const clock = options.clock ?? systemClock;
  const down = new Set<string>();
  for (const owed of await options.book.all()) {
    if (options.book.isResting(owed.file.name, clock.monotonicMs())) continue;
    const targets = options.targets.filter(
      ({ repository }) =>
        owed.repositories.includes(repository.name) &&
        !down.has(repository.name) &&
        options.isAvailable(repository.name),
    );
    // One that is not in the configuration stays in the note: it may come back.
    const stillOwed = new Set(owed.repositories);
    if (targets.length > 0) {
      const outcome = await healOne(options, owed, targets, signal);
      for (const name of outcome.down) down.add(name);
      for (const name of outcome.paid) stillOwed.delete(name);
      if (outcome.isHopeless) options.book.rest(owed.file.name, clock.monotonicMs() + hopelessRestMs);
    }
    if (stillOwed.size < owed.repositories.length) {
      await options.book.write({ ...owed, repositories: [...stillOwed] });
    }
  }
}

interface Healed {
  /** Repositories that have the file now. */
  readonly paid: readonly string[];
  /** Repositories that cannot be asked just now, or whose source cannot. */
  readonly down: readonly string[];
  /** What failed is the file's own: waiting helps little. */
  readonly isHopeless: boolean;
}

async function healOne(
  options: HealOptions,
  owed: Owed,
  targets: readonly ArchiveTarget[],
  signal?: AbortSignal,
): Promise<Healed> {
  const { context, expected, log } = options;
  try {
    const path = (await localPath(options, owed)) ?? (await fetchBack(options, owed, signal));
    const report = await pushWal(context, {
      path,
      file: owed.file,
      targets,
      expected,
      ...(signal ? { signal } : {}),
    });
    await rm(join(options.spool.heal, owed.file.name), { force: true });
    const paid: string[] = [];
    const down: string[] = [];
    let isHopeless = false;
    for (const outcome of report.outcomes) {
      options.onOutcome(outcome.repository, outcome.kind === "failed" ? outcome.error : undefined);
      if (outcome.kind !== "failed") paid.push(outcome.repository);
      else if (outcome.error.code !== "wal-conflict") down.push(outcome.repository);
      else {
        isHopeless = true;
        warnUnpaid(log, owed, outcome.error);
      }
    }
    return { paid, down, isHopeless };
  } catch (error) {
    if (isEngineError(error, "aborted")) throw error;
    warnUnpaid(log, owed, error);
    const isHopeless = isEngineError(error) && !error.retryable && !error.code.startsWith("store-");
    return { paid: [], down: isHopeless ? [] : targets.map(({ repository }) => repository.name), isHopeless };
  }
}

function warnUnpaid(log: Log, owed: Owed, error: unknown): void {
  log.warn("could not bring a WAL file to a repository that is without it", {
    segment: owed.file.name,
    error: describeError(error),
  });
}

/** The file in pg_wal, while it is still the one that was acknowledged. */
async function localPath(options: HealOptions, owed: Owed): Promise<string | undefined> {
  const path = join(options.walDirectory, owed.file.name);
  try {
    const stats = await stat(path, { bigint: true });
    return stats.mtimeNs === owed.mtimeNs && Number(stats.size) === owed.sizeBytes ? path : undefined;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function fetchBack(options: HealOptions, owed: Owed, signal?: AbortSignal): Promise<string> {
  const destination = join(options.spool.heal, owed.file.name);
  const repositories = options.targets
    .map(({ repository }) => repository)
    .filter(({ name }) => !owed.repositories.includes(name));
  const fetched = await fetchWal({
    file: owed.file,
    destination,
    repositories,
    expectedSystemIdentifier: options.expected.systemIdentifier,
    walSegmentSizeBytes: options.expected.walSegmentSizeBytes,
    ...(signal ? { signal } : {}),
  });
  if (fetched.kind === "delivered") return destination;
  throw new EngineError(
    "wal-absent",
    `WAL file "${owed.file.name}" is neither in pg_wal nor in another repository`,
    {
      hint: "Was it expired there already? Then the gap in the other repository is older than its backups too.",
    },
  );
}
