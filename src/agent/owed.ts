import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeDurableFile } from "../common/durable-file.ts";
import { EngineError, isEngineError, systemErrorCode } from "../common/errors.ts";
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

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  async all(): Promise<readonly Owed[]> {
    return [...(await this.#load()).values()];
  }

  async write(owed: Owed): Promise<void> {
    const known = await this.#load();
    const path = join(this.#spool.owed, owed.file.name);
    if (owed.repositories.length === 0) {
      await rm(path, { force: true });
      known.delete(owed.file.name);
      return;
    }
    const { sizeBytes, mtimeNs, repositories } = owed;
    await writeDurableFile(
      path,
      `${JSON.stringify({ sizeBytes, mtimeNs: mtimeNs.toString(), repositories })}\n`,
    );
    known.set(owed.file.name, owed);
  }

  async #load(): Promise<Map<string, Owed>> {
    if (this.#known !== undefined) return this.#known;
    const known = new Map<string, Owed>();
    for (const name of (await spoolNames(this.#spool.owed)).sort()) {
      const file = parseWalFileName(name);
      if (file === undefined) continue;
      const text = await readFile(join(this.#spool.owed, name), "utf8");
      const value = schema.parse(JSON.parse(text));
      known.set(name, { file, ...value, mtimeNs: BigInt(value.mtimeNs) });
    }
    this.#known ??= known;
    return this.#known;
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
}

/**
 * Brings what is owed to the repositories that were down: from pg_wal while the file is still there, else from another
 * repository. One round over everything owed; a repository that fails is left alone for the rest of the round.
 */
export async function healOwed(options: HealOptions, signal?: AbortSignal): Promise<void> {
  const down = new Set<string>();
  for (const owed of await options.book.all()) {
    // A repository that was taken out of the configuration is owed nothing.
    const targets = options.targets.filter(
      ({ repository }) =>
        owed.repositories.includes(repository.name) &&
        !down.has(repository.name) &&
        options.isAvailable(repository.name),
    );
    const configured = new Set(options.targets.map(({ repository }) => repository.name));
    const stillOwed = new Set(owed.repositories.filter((name) => configured.has(name)));
    if (targets.length > 0) {
      for (const failed of await healOne(options, owed, targets, signal)) down.add(failed);
      for (const { repository } of targets) if (!down.has(repository.name)) stillOwed.delete(repository.name);
    }
    if (stillOwed.size < owed.repositories.length) {
      await options.book.write({ ...owed, repositories: [...stillOwed] });
    }
  }
}

/** The names of the targets that failed. */
async function healOne(
  options: HealOptions,
  owed: Owed,
  targets: readonly ArchiveTarget[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
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
    return report.outcomes.flatMap((outcome) => {
      options.onOutcome(outcome.repository, outcome.kind === "failed" ? outcome.error : undefined);
      return outcome.kind === "failed" ? [outcome.repository] : [];
    });
  } catch (error) {
    if (isEngineError(error, "aborted")) throw error;
    log.warn("could not bring a WAL file to a repository that is without it", {
      segment: owed.file.name,
      error: error instanceof Error ? error.message : String(error),
    });
    return targets.map(({ repository }) => repository.name);
  }
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
