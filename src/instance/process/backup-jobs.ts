import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeDurableDirectory, syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { describeError, EngineError, fileError, systemErrorCode } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { backupJobSchema, type BackupJob } from "../instance-status.ts";

/** Whoever asks gives the ID, and it names a file. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Throws `usage` for an ID that cannot name a file. */
export function requireJobId(id: string): void {
  if (idPattern.test(id)) return;
  throw new EngineError("usage", `${JSON.stringify(id)} cannot be the ID of a backup job`, {
    hint: "Use 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
  });
}

/**
 * The base backups that an instance was asked for: a file for each, `<id>.json`, which stays until it is forgotten. Begin and end are
 * durable, so whoever asks again after any crash gets an answer; progress is only in memory.
 */
export class BackupJobs {
  readonly #directory: string;
  readonly #jobs: Map<string, BackupJob>;

  private constructor(directory: string, jobs: readonly BackupJob[]) {
    this.#directory = directory;
    this.#jobs = new Map(jobs.map((job) => [job.id, job]));
  }

  /** Reads what an earlier process has left. Files that are none of ours are left alone. Throws `file-io`. */
  static async open(directory: string, log: Log): Promise<BackupJobs> {
    await makeDurableDirectory(directory).catch((error: unknown) => {
      throw fileError("make the folder", directory, error);
    });
    const jobs: BackupJob[] = [];
    for (const name of (await readdir(directory)).sort()) {
      const path = join(directory, name);
      // Left by a process that was killed while it wrote.
      if (name.startsWith(".") && name.endsWith(".tmp")) await rm(path, { force: true });
      if (!name.endsWith(".json") || name.startsWith(".")) continue;
      try {
        jobs.push(backupJobSchema.parse(JSON.parse(await readFile(path, "utf8"))));
      } catch (error) {
        log.warn("could not read what is known of a backup job", { path, error: describeError(error) });
      }
    }
    return new BackupJobs(directory, jobs);
  }

  /** Oldest first. */
  list(): readonly BackupJob[] {
    return [...this.#jobs.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  }

  get(id: string): BackupJob | undefined {
    return this.#jobs.get(id);
  }

  /** Notes a job as it is now, durably. Throws `file-io`, `disk-full`; then nothing has changed. */
  async write(job: BackupJob): Promise<void> {
    await writeDurableFile(this.#pathOf(job.id), `${JSON.stringify(job, undefined, 2)}\n`);
    this.#jobs.set(job.id, job);
  }

  /** Notes a job in memory only. */
  show(job: BackupJob): void {
    this.#jobs.set(job.id, job);
  }

  /** Forgets a job durably; one that is not known is fine. Throws `locked` for one that is running. */
  async forget(id: string): Promise<void> {
    requireJobId(id);
    if (this.#jobs.get(id)?.state === "running") {
      throw new EngineError("locked", `backup job "${id}" is running`, {
        hint: "It can be forgotten when it has ended.",
      });
    }
    try {
      await rm(this.#pathOf(id));
      await syncDirectory(this.#directory);
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT") throw fileError("remove", this.#pathOf(id), error);
    }
    this.#jobs.delete(id);
  }

  #pathOf(id: string): string {
    return join(this.#directory, `${id}.json`);
  }
}
