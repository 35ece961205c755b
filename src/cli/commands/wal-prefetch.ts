import { access, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { startPrefetcher } from "../../agent/prefetcher.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { systemClock } from "../../common/clock.ts";
import { openContext, type CommandContext } from "../context.ts";
import { readControlFile } from "../local-server.ts";
import type { RepositoryOptions } from "../options.ts";
import { selfCommand } from "../self-command.ts";

const idleLimitMs = 30_000;
const lookMs = 1000;

/** `tidemark wal prefetch`: serves one recovery until it is over, or until nothing has been asked for half a minute. */
export async function run(directory: string, options: RepositoryOptions, signal: AbortSignal): Promise<void> {
  const dataDirectory = resolve(directory);
  await using context = await openContext({ logLevel: "warn", ...options }, signal);
  await prefetch(dataDirectory, context, { options, signal });
  // Nobody will ask again; until then the script must stay.
  if (!(await isRecovering(dataDirectory)))
    await rm(prefetchRootOf(dataDirectory), { recursive: true, force: true });
}

async function prefetch(
  dataDirectory: string,
  context: CommandContext,
  given: { readonly options: RepositoryOptions; readonly signal: AbortSignal },
): Promise<void> {
  const { options, signal } = given;
  const control = await readControlFile(dataDirectory);
  await using prefetcher = await startPrefetcher({
    root: prefetchRootOf(dataDirectory),
    repositories: context.repositories,
    walSegmentSizeBytes: control.walSegmentSizeBytes,
    expectedSystemIdentifier: control.systemIdentifier,
    fetchCommand: selfCommand(["wal", "fetch", "--prefetch", dataDirectory], options),
    leaveScript: true,
    log: context.log,
  });
  while (!signal.aborted && prefetcher.idleMs() < idleLimitMs && (await isRecovering(dataDirectory))) {
    await systemClock.sleep(lookMs, signal).catch(() => undefined);
  }
}

/** PostgreSQL removes the file when it ends recovery. */
async function isRecovering(dataDirectory: string): Promise<boolean> {
  return access(join(dataDirectory, "recovery.signal")).then(
    () => true,
    () => false,
  );
}
