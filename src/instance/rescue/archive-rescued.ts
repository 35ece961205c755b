import { join } from "node:path";
import { requireLocalSystem } from "../../agent/local-system.ts";
import { pushWalFile } from "../../archive/wal-file.ts";
import { throwIfAborted } from "../../common/abort.ts";
import type { Log } from "../../common/log.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { rescuedFolder } from "../configuration/standby-restore.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { ArchiveSpec } from "../archive-spec.ts";
import { walTargets } from "../wal-targets.ts";

/**
 * Archives WAL files that were rescued, in all repositories: the server that takes over marks what it got from others as archived,
 * and nobody else has it. Those that are there already are compared. Throws what opening and pushing throws, when all of them have been
 * tried.
 */
export async function archiveRescued(options: {
  readonly folder: InstanceFolder;
  readonly archive: ArchiveSpec;
  readonly names: readonly string[];
  readonly onArchived: (name: string) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { folder, archive, names, onArchived, log, signal } = options;
  const expected = await requireLocalSystem(folder.data);
  const repositories = await openRepositories({
    settings: archive.repositories,
    server: parseServerName(archive.server),
    log,
    access: { kind: "write", spoolDirectory: folder.spool },
    signal,
  });
  try {
    const targets = walTargets(archive, repositories);
    const failures: unknown[] = [];
    for (const name of names) {
      throwIfAborted(signal);
      try {
        await pushWalFile({ path: join(rescuedFolder(folder), name), targets, expected, log, signal });
        onArchived(name);
        log.info("archived WAL of a primary that is gone", { segment: name });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  } finally {
    await closeRepositories(repositories);
  }
}
