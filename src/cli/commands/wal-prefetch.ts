import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { removePrefetchFolder } from "../../agent/prefetch-folder.ts";
import { startPrefetcher } from "../../agent/prefetcher.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { systemClock } from "../../common/clock.ts";
import { systemErrorCode } from "../../common/errors.ts";
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
  if (!(await isRecovering(dataDirectory))) await removePrefetchFolder(prefetchRootOf(dataDirectory));
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

/** PostgreSQL removes both files when it ends recovery, or is promoted. What cannot be looked at counts as there. */
async function isRecovering(dataDirectory: string): Promise<boolean> {
  const signals = ["recovery.signal", "standby.signal"].map((name) => join(dataDirectory, name));
  const found = await Promise.all(
    signals.map(async (path) =>
      access(path).then(
        () => true,
        (error: unknown) => systemErrorCode(error) !== "ENOENT",
      ),
    ),
  );
  return found.includes(true);
}
