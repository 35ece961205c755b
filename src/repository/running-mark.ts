import { hostname } from "node:os";
import { z } from "zod";
import { describeError, isEngineError } from "../common/errors.ts";
import { parseWalSegmentName, type WalSegmentName } from "../postgres/wal-file-name.ts";
import type { BackupId } from "./backup-id.ts";
import { backupPrefix } from "./keys.ts";
import { readSmallObject } from "./read-object.ts";
import type { Repository } from "./repository.ts";
import type { ServerName } from "./server-name.ts";

/**
 * A running backup's sign of life: an object in its folder, there before anything else, written anew every few minutes,
 * removed when the backup is visible. It takes the ID (nobody else can create it), lets others tell a running backup
 * from a killed one by the store's own clock, and says from where on the backup needs WAL.
 */
export interface RunningMark {
  readonly systemIdentifier: string;
  /** Where the backup runs. */
  readonly host: string;
  /** Of the server it is taken from; with `host` it names the server whose lock the backup holds. */
  readonly dataDirectory: string;
  /** Once the backup has started. */
  readonly beginWal: WalSegmentName | undefined;
}

const schema = z.object({
  format: z.literal(1),
  systemIdentifier: z.string(),
  host: z.string(),
  dataDirectory: z.string(),
  beginWal: z.string().nullable(),
});

export const runningMarkKey = (server: ServerName, id: BackupId): string =>
  `${backupPrefix(server, id)}x-tidemark/running.json`;

/** How often the mark is renewed, and how old it must be to say that the backup is dead: several renewals failed. */
export const renewEveryMs = 5 * 60_000;
export const deadAfterMs = 30 * 60_000;

export function markOf(
  facts: { readonly systemIdentifier: bigint; readonly dataDirectory: string },
  beginWal?: WalSegmentName,
): RunningMark {
  const { systemIdentifier, dataDirectory } = facts;
  return { systemIdentifier: String(systemIdentifier), host: hostname(), dataDirectory, beginWal };
}

/** With `ifAbsent` it throws `object-exists` when the ID is taken. Returns the store's time of writing. */
export async function writeRunningMark(
  repository: Repository,
  id: BackupId,
  mark: RunningMark,
  options: { readonly ifAbsent?: boolean; readonly signal?: AbortSignal },
): Promise<Date> {
  const text = `${JSON.stringify({ format: 1, ...mark, beginWal: mark.beginWal ?? null }, undefined, 2)}\n`;
  const key = runningMarkKey(repository.server, id);
  return (await repository.store.put(key, [Buffer.from(text)], options)).modifiedAt;
}

/** Undefined when there is none, none of ours, or a damaged one. */
export async function readRunningMark(
  repository: Repository,
  id: BackupId,
  signal?: AbortSignal,
): Promise<RunningMark | undefined> {
  const text = await readSmallObject(repository.store, runningMarkKey(repository.server, id), {
    limitBytes: 64 * 1024,
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (isEngineError(error, "object-corrupt")) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    const { systemIdentifier, host, dataDirectory, beginWal } = schema.parse(JSON.parse(text));
    return {
      systemIdentifier,
      host,
      dataDirectory,
      beginWal: beginWal === null ? undefined : parseWalSegmentName(beginWal),
    };
  } catch {
    return undefined;
  }
}

/** Renews the mark in the repositories that take part until disposed. A failed renewal is only logged: the next one may succeed. */
export class MarkRenewal implements Disposable {
  readonly #timer: NodeJS.Timeout;
  mark: RunningMark;

  constructor(
    repositories: () => readonly Repository[],
    id: BackupId,
    mark: RunningMark,
    signal: AbortSignal,
    everyMs = renewEveryMs,
  ) {
    this.mark = mark;
    this.#timer = setInterval(() => {
      for (const repository of repositories()) {
        // Its failure is observed right here.
        void writeRunningMark(repository, id, this.mark, { signal }).catch((error: unknown) => {
          if (signal.aborted) return;
          repository.log.warn("could not renew the mark of the running backup", {
            repository: repository.name,
            backup: id,
            error: describeError(error),
          });
        });
      }
    }, everyMs);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
