import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, fileError } from "../../common/errors.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import type { Log } from "../../common/log.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { parseWalFileName, timelineHistoryFileName } from "../../postgres/wal-file-name.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { findWalObjects } from "../../repository/wal-lookup.ts";
import type { ArchiveSpec } from "../archive-spec.ts";
import { exists, removeFile } from "../configuration/own-files.ts";
import type { InstanceFolder } from "../instance-folder.ts";

/*
 * A server that is promoted takes the number after the newest timeline whose history it finds (`findNewestTimeLine`, timeline.c).
 * A standby is not given histories from the archive (`standby-restore.ts`), so it would take the number of a timeline that somebody
 * began by hand and archived: then nothing could be archived any more. A history without a parent holds such a number: no server
 * ever follows it.
 */
const held = "# held by Tidemark: the archive has a timeline of this number, which is not this server's\n";

/** A store that does not answer does not keep a failover waiting for longer. */
const patienceMs = 10_000;

/** Holds the numbers after `timeline` that the archive has. Never throws: to be promoted is more than to be archived. */
export async function holdTakenTimelines(options: {
  readonly folder: InstanceFolder;
  readonly archive: ArchiveSpec;
  readonly timeline: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { folder, archive, log } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(patienceMs)]);
  try {
    const user = await chooseServerUser(folder.root);
    const server = parseServerName(archive.server);
    const settings = archive.repositories;
    const access = { kind: "read", allowMissing: true } as const;
    const repositories = await openRepositories({ settings, server, log, access, signal });
    const asked = new Set(repositories);
    try {
      for (let next = options.timeline + 1; ; next++) {
        const name = timelineHistoryFileName(timelineId(next));
        const path = join(folder.data, "pg_wal", name);
        if (await exists(path)) continue;
        const file = parseWalFileName(name);
        if (file === undefined) return;
        const found = await Promise.all(
          [...asked].map(async (repository) => {
            try {
              return await findWalObjects(repository, file, signal);
            } catch (error) {
              // The others may know.
              asked.delete(repository);
              const { name: store } = repository;
              log.warn("could not see which timelines a repository has", {
                repository: store,
                error: describeError(error),
              });
              return [];
            }
          }),
        );
        if (found.flat().length === 0) return;
        await writeDurableFile(path, held, 0o600, user);
        log.warn("the archive has a timeline that is not this server's: its number is left out", {
          timeline: next,
        });
      }
    } finally {
      await closeRepositories(repositories);
    }
  } catch (error) {
    log.warn("could not see which timelines the archive has", { error: describeError(error) });
  }
}

/** Before a standby starts: it would take a number that is held for the newest timeline, and not start. Throws `file-io`. */
export async function releaseTimelines({ data }: Pick<InstanceFolder, "data">): Promise<void> {
  const folder = join(data, "pg_wal");
  try {
    for (const name of (await readdir(folder)).filter((entry) => entry.endsWith(".history"))) {
      if ((await readFile(join(folder, name), "utf8")) === held) await removeFile(join(folder, name));
    }
  } catch (error) {
    throw fileError("clear", folder, error);
  }
}
