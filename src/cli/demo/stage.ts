import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog, type Log } from "../../common/log.ts";
import { binariesReachableBy } from "../../postgres/server-binaries-access.ts";
import {
  findServerBinaries,
  listServerBinaries,
  type ServerBinaries,
} from "../../postgres/server-binaries.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { Repository } from "../../repository/repository.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { wrapStore } from "../../storage/wrap-store.ts";
import { becomeForThisProcess } from "../privileges.ts";

/** Where the demo plays: one temporary folder with a server, a repository and a spool. */
export interface Stage extends AsyncDisposable {
  readonly folder: string;
  readonly dataDirectory: string;
  readonly restoredDirectory: string;
  readonly spoolDirectory: string;
  readonly binaries: ServerBinaries;
  readonly repository: Repository;
  readonly log: Log;
}

export interface StageOptions {
  readonly major: number | undefined;
  readonly binDirectory: string | undefined;
  readonly keep: boolean;
}

/**
 * Sets the stage. As root it becomes the server's user first: from here on nothing runs as root. That is why the demo
 * imports everything it needs at once: afterwards its own files may be out of reach.
 */
export async function setStage(options: StageOptions): Promise<Stage> {
  const user = await chooseServerUser();
  const binaries = await binariesReachableBy(user, await chooseBinaries(options));
  if (user !== undefined) becomeForThisProcess(user);
  process.chdir("/");
  const folder = await mkdtemp(join(tmpdir(), "tidemark-demo-"));
  const log = silentLog;
  const store = wrapStore(await openFileStore({ root: join(folder, "repository"), createRoot: true }), {
    log,
  });
  return {
    folder,
    dataDirectory: join(folder, "data"),
    restoredDirectory: join(folder, "restored"),
    spoolDirectory: join(folder, "spool"),
    binaries,
    repository: { name: "local", server: parseServerName("demo"), store, log },
    log,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      if (!options.keep) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function chooseBinaries({ major, binDirectory }: StageOptions): Promise<ServerBinaries> {
  if (major !== undefined || binDirectory !== undefined) return findServerBinaries({ major, binDirectory });
  const [newest] = (await listServerBinaries()).toSorted((a, b) => b.major - a.major);
  // Throws, with what to install.
  return newest ?? findServerBinaries();
}
