import { createHash } from "node:crypto";
import { signalOption } from "../common/abort.ts";
import type { LogFields } from "../common/log.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnusable } from "../repository/several-repositories.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/** Says in the log what a damaged object was that is about to be replaced: afterwards nobody can look at it any more. */
export async function describeDamaged(
  { name, store, log }: Repository,
  key: string,
  reason: string,
  signal?: AbortSignal,
): Promise<void> {
  const found = await look(store, key, signal);
  if (found === undefined) return;
  log.warn("replacing a damaged object with a good copy", { repository: name, key, error: reason, ...found });
}

async function look(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<LogFields | undefined> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const opened = await store.get(key, signalOption(signal));
    if (opened === undefined) return undefined;
    const modifiedAt = opened.info.modifiedAt.toISOString();
    for await (const chunk of opened.body) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    return { bytes, modifiedAt, sha256: hash.digest("hex") };
  } catch (error) {
    // It may be too damaged to be read at all.
    if (!isUnusable(error)) throw error;
    return { bytes };
  }
}
