import { join } from "node:path";
import { signalOption } from "../../common/abort.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import { EngineError } from "../../common/errors.ts";
import { describeRepository, type Repository } from "../../repository/repository.ts";
import { exists } from "../configuration/own-files.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";

/**
 * CloudNativePG's question before the very first write of a new cluster: is the archive empty? A restored cluster has the system
 * identifier of its origin, so nothing else tells that it is about to go on in its origin's archive. Asked once; afterwards
 * `archive-begun` in the folder says so. An archive that was begun through the same spool is its own.
 *
 * A standby is not asked: it shares the archive of its primary, and must not be stopped by it when it has taken over.
 *
 * @throws EngineError `object-exists` when there is something, and what the stores throw.
 */
export async function requireFreshArchive(
  folder: Pick<InstanceFolder, "root">,
  spec: Pick<InstanceSpec, "archive"> & { readonly role: Pick<InstanceSpec["role"], "kind"> },
  repositories: readonly Repository[],
  signal?: AbortSignal,
): Promise<void> {
  const mark = join(folder.root, "archive-begun");
  if (await exists(mark)) return;
  if (spec.archive?.requireEmptyArchive === true && spec.role.kind === "primary") {
    for (const repository of repositories) await requireEmpty(repository, signal);
  }
  await writeDurableFile(mark, "");
}

async function requireEmpty(repository: Repository, signal: AbortSignal | undefined): Promise<void> {
  const { store, server, claimNote } = repository;
  if (await claimNote?.exists()) return;
  for await (const entry of store.list(`${server}/`, signalOption(signal))) {
    const found = entry.kind === "object" ? entry.key : entry.prefix;
    throw new EngineError(
      "object-exists",
      `expected an empty archive, but repository "${describeRepository(repository)}" holds "${found}"`,
      {
        hint: "Give it a server name (serverName) or a place of its own. If it is to go on in this archive, annotate it with cnpg.io/skipEmptyWalArchiveCheck: enabled.",
      },
    );
  }
}
