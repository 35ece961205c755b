import { copyFile, stat, truncate } from "node:fs/promises";
import type { Clock } from "./clock.ts";
import { describeError, fileError, systemErrorCode } from "./errors.ts";
import type { Log } from "./log.ts";
import { mib } from "./units.ts";

/** A log and the one before it never hold much more than this each. */
const limitBytes = 64 * mib;
const lookEveryMs = 60_000;

/**
 * Keeps logs from filling the disk, until the signal fires. Never rejects: a log that cannot be looked after must not keep
 * anything from running.
 */
export async function limitLogs(
  paths: readonly string[],
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    for (const path of paths) {
      try {
        if (await limitLog(path, limitBytes))
          log.info("began a log anew; the one before is beside it", { path });
      } catch (error) {
        log.warn("could not begin a log anew", { path, error: describeError(error) });
      }
    }
    await clock.sleep(lookEveryMs, signal).catch(() => undefined);
  }
}

/**
 * Empties a log that has grown beyond `limit` bytes, after a copy to `<path>.1`. Whoever writes has it open for appending and goes
 * on: a server cannot be told to open its standard error again. Lines that are written between copy and emptying are lost.
 * Returns whether it did; false also where there is no such file.
 */
export async function limitLog(path: string, limit: number): Promise<boolean> {
  try {
    if ((await stat(path)).size <= limit) return false;
    await copyFile(path, `${path}.1`);
    await truncate(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw fileError("begin anew the log", path, error);
  }
}
