import { rm } from "node:fs/promises";

/**
 * Removes a prefetch folder with all that is in it, or one of the folders below. Somebody may still write there: a restore script
 * whose server was stopped announces its request anew, another prefetcher touches its file. Each writes once at most before it
 * notices, so what was not empty is removed again.
 */
export async function removePrefetchFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
