import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import type { Log } from "../../common/log.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import { recoveryReportSchema } from "./bootstrap-report.ts";

/*
 * A data directory is made in `bootstrap/<id>/data` and renamed when it is whole, so that `data` is never half of one. Each
 * attempt has a folder of its own, because of a killed one a program may still be at work (initdb, or a server) that must
 * not meet the next attempt.
 *
 * What a crash leaves, step by step:
 *   1. folder made, no mark yet    nothing but that; it is removed
 *   2. mark written                 an attempt that is not complete: it is removed with what the mark says is its own, or,
 *                                   if it is a recovery whose files are whole or a copy that was promoted, gone on with
 *   3. `bootstrap.json` names it    it is complete, and renamed by whoever comes next
 *   4. renamed                      a data directory, and an attempt without one, which the next bootstrap removes
 */

const markName = "attempt.json";
const idPattern = /^[0-9a-f]{16}$/;

const markSchema = z.object({
  format: z.literal(1),
  /** Of the bootstrap's specification: for another one the attempt is of no use. */
  digest: z.string(),
  /** Directories of tablespaces elsewhere that it fills, or may have begun to. */
  tablespaces: z.array(z.string()),
  /** Of a recovery: the backup that it restores. */
  backup: z.string().optional(),
  /** How often its replay was gone on with after an interruption. */
  resumed: z.number(),
  /** Set when it has reached its target, of which somebody made sure. */
  recovered: recoveryReportSchema.optional(),
  /** Of a copy: it has a timeline of its own, and needs nothing of its origin any more. */
  promoted: z.literal(true).optional(),
});
type AttemptMark = z.infer<typeof markSchema>;
type AttemptNote = Partial<
  Pick<AttemptMark, "tablespaces" | "backup" | "resumed" | "recovered" | "promoted">
>;

/** One attempt at making an instance's data directory. */
export class Attempt {
  readonly id: string;
  readonly root: string;
  /** Where the data directory grows. */
  readonly data: string;
  readonly #user: ServerUser | undefined;
  #mark: AttemptMark;

  constructor(folder: InstanceFolder, id: string, mark: AttemptMark, user: ServerUser | undefined) {
    this.id = id;
    this.root = join(attemptsFolder(folder), id);
    this.data = join(this.root, "data");
    this.#mark = mark;
    this.#user = user;
  }

  get mark(): AttemptMark {
    return this.#mark;
  }

  /** Notes, durably, more of what is about to be done. Throws `file-io`, `disk-full`. */
  async note(change: AttemptNote): Promise<void> {
    const mark = { ...this.#mark, ...change };
    await writeDurableFile(join(this.root, markName), `${JSON.stringify(mark)}\n`, 0o600, this.#user);
    this.#mark = mark;
  }

  /** Removes its folder, what is left of its data first, so that the mark stays to the last. Throws `file-io`. */
  async removeFolder(): Promise<void> {
    try {
      for (const path of [this.data, this.root]) {
        // A program of a killed process may still be writing: what it adds meanwhile is removed with another try.
        await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      }
    } catch (error) {
      throw fileError("remove", this.root, error);
    }
  }
}

/** Begins an attempt: its folder is there, its data directory is not. Throws `file-io`, `disk-full`. */
export async function createAttempt(
  folder: InstanceFolder,
  bootstrap: InstanceBootstrap,
  user: ServerUser | undefined,
): Promise<Attempt> {
  const id = randomBytes(8).toString("hex");
  const mark: AttemptMark = { format: 1, digest: digestOf(bootstrap), tablespaces: [], resumed: 0 };
  const attempt = new Attempt(folder, id, mark, user);
  await makeOwnDirectory(attemptsFolder(folder), user);
  await makeOwnDirectory(attempt.root, user);
  faultPoint("bootstrap:folder-made");
  await attempt.note({});
  faultPoint("bootstrap:attempt-made");
  return attempt;
}

/**
 * The attempts that earlier calls left. What is not understood as one is left alone and logged, but for folders in which
 * nothing was begun yet, which are removed. Throws `file-io`.
 */
export async function findAttempts(
  folder: InstanceFolder,
  user: ServerUser | undefined,
  log: Log,
): Promise<readonly Attempt[]> {
  const found: Attempt[] = [];
  for (const entry of await entriesOf(attemptsFolder(folder))) {
    const path = join(attemptsFolder(folder), entry.name);
    const isFolder = idPattern.test(entry.name) && entry.isDirectory();
    const mark = isFolder ? await readMark(path) : undefined;
    if (mark !== undefined) found.push(new Attempt(folder, entry.name, mark, user));
    else if (!isFolder || !(await removedAsEmpty(path))) {
      log.warn("there is something in the folder of attempts that is none; it is left alone", { path });
    }
  }
  return found;
}

/**
 * What tells a bootstrap's specification from another one with another result: how a repository or a server is reached is not
 * part of it, so that hours of replay survive a corrected certificate. Not its text: statements in it may hold passwords.
 */
export function digestOf(bootstrap: InstanceBootstrap): string {
  return createHash("sha256")
    .update(JSON.stringify(resultOf(bootstrap)))
    .digest("hex");
}

function resultOf(bootstrap: InstanceBootstrap): unknown {
  switch (bootstrap.kind) {
    case "recovery": {
      const repositories = bootstrap.repositories.map(({ url, endpoint }) => [url, endpoint]);
      return { ...bootstrap, application: undefined, repositories };
    }
    case "copy":
      return { kind: bootstrap.kind, dataDirectory: bootstrap.dataDirectory };
    case "initdb":
    case "clone":
      return bootstrap;
  }
}

function attemptsFolder({ root }: InstanceFolder): string {
  return join(root, "bootstrap");
}

async function readMark(path: string): Promise<AttemptMark | undefined> {
  const file = join(path, markName);
  try {
    return markSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw fileError("read", file, error);
  }
}

/** A crash right at the beginning leaves an empty folder, or one with a mark that was not finished. */
async function removedAsEmpty(path: string): Promise<boolean> {
  const names = (await entriesOf(path)).map(({ name }) => name);
  if (!names.every((name) => name.startsWith(`.${markName}.`) && name.endsWith(".tmp"))) return false;
  try {
    for (const name of names) await rm(join(path, name), { force: true });
    await rmdir(path);
    await syncDirectory(join(path, ".."));
    return true;
  } catch (error) {
    throw fileError("remove", path, error);
  }
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", directory, error);
  }
}
