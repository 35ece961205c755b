import { spawn } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { stat } from "node:fs/promises";
import { spoolOwnerFor } from "../../agent/local-system.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { fetchWalFile } from "../../archive/wal-file.ts";
import { EngineError } from "../../common/errors.ts";
import { missingKey } from "../../repository/encryption/require-plain.ts";
import { plainKey } from "../../repository/encryption/sealed-names.ts";
import type { Repository } from "../../repository/repository.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { selfCommand } from "../self-command.ts";

interface WalFetchOptions extends RepositoryOptions {
  readonly partial?: boolean;
  readonly prefetch?: string;
}

/** `tidemark wal fetch`: `restore_command` without prefetch. Exit statuses: see `exit-status.ts`. */
export async function run(
  name: string,
  destination: string,
  options: WalFetchOptions,
  signal: AbortSignal,
): Promise<void> {
  await using context = await openContext({ logLevel: "warn", ...options }, signal);
  const path = resolve(destination);
  // Run by root for somebody else's directory, the file must be readable there.
  const owner = await spoolOwnerFor(dirname(path));
  const request = {
    destination: path,
    repositories: context.repositories,
    signal,
    ...(owner === undefined ? {} : { owner }),
  };
  const whole = await fetchWalFile({ ...request, name });
  if (whole.kind === "delivered") {
    if (options.prefetch !== undefined) await ensurePrefetcher(resolve(options.prefetch), options);
    return;
  }
  if (options.partial === true && !name.includes(".")) {
    const partial = await fetchWalFile({ ...request, name: `${name}.partial` });
    if (partial.kind === "delivered") return;
  }
  for (const repository of context.repositories) await requireBegun(repository, signal);
  const where = context.repositories.map(({ store }) => store.url).join(", ");
  throw new EngineError("wal-absent", `WAL file "${name}" of "${context.server}" is not in ${where}`);
}

/**
 * "Absent" ends recovery, so it must not be said for a misspelt server name or path: a repository out of which somebody
 * recovers holds something of that server. Nor of one that is encrypted and has lost its keys, which looks empty without a key:
 * above the encryption no name has its suffix. Throws `object-missing`, `encryption-key`.
 */
async function requireBegun({ store, server }: Repository, signal: AbortSignal): Promise<void> {
  for await (const entry of store.list(`${server}/`, { signal })) {
    if (entry.kind === "object" && plainKey(entry.key) !== undefined) throw missingKey(store, server);
    return;
  }
  throw new EngineError("object-missing", `there is nothing of server "${server}" in ${store.url}`, {
    hint: "Are repository and server name right? Nothing was ever archived here under this name.",
  });
}

/** A living prefetcher touches its file every second. */
const heartbeatLimitMs = 5000;

/**
 * Starts a prefetcher for the segments that will be asked for next, in a process of its own that outlives this one.
 * That it fails is no failure of this fetch: the next file then comes the slow way again.
 */
async function ensurePrefetcher(dataDirectory: string, options: RepositoryOptions): Promise<void> {
  const pidFile = await stat(join(prefetchRootOf(dataDirectory), "agent.pid")).catch(() => undefined);
  if (pidFile !== undefined && Date.now() - pidFile.mtimeMs < heartbeatLimitMs) return;
  const [program = process.execPath, ...words] = selfCommand(["wal", "prefetch", dataDirectory], options);
  const child = spawn(program, words, { detached: true, stdio: "ignore" });
  child.on("error", () => undefined);
  child.unref();
}
