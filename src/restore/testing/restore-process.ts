import { silentLog } from "../../common/log.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { planRestore } from "../plan-restore.ts";
import { runRestore } from "../run-restore.ts";
import type { Owner } from "../tree-writer.ts";

/**
 * A restore as a process of its own, for tests that kill it: `node restore-process.ts '<JSON of RestoreJob>'`. It ends
 * with 0 when the restore is complete.
 */
export interface RestoreJob {
  readonly root: string;
  readonly server: string;
  readonly dataDirectory: string;
  readonly tablespaces: readonly (readonly [string, string])[];
  readonly restoreCommand: string;
  readonly owner: Owner | undefined;
}

async function main(job: RestoreJob): Promise<void> {
  const repository = {
    name: "sample",
    server: parseServerName(job.server),
    store: await openFileStore({ root: job.root }),
    log: silentLog,
  };
  const plan = await planRestore({
    repositories: [repository],
    request: { target: { kind: "latest" }, timeline: "latest", backup: "auto" },
  });
  if (plan.kind === "unreachable") throw new Error(plan.reason);
  await runRestore({
    plan,
    dataDirectory: job.dataDirectory,
    tablespaceMap: new Map(job.tablespaces),
    recovery: { restoreCommand: job.restoreCommand },
    owner: job.owner,
    log: silentLog,
  });
}

await main(JSON.parse(process.argv[2] ?? "") as RestoreJob);
