import { describeError } from "../common/errors.ts";
import type { CheckFact } from "./check-fact.ts";
import type { ProbeLab } from "./lab.ts";

const topic = "clean-up";
const patienceMs = 60_000;

/**
 * Removes everything below the scratch prefix, unfinished uploads too. With a signal of its own: also whoever was stopped
 * leaves nothing behind. Gives a fact only when something may have stayed.
 */
export async function removeScratch({ store, prefix }: ProbeLab): Promise<readonly CheckFact[]> {
  const signal = AbortSignal.timeout(patienceMs);
  try {
    for await (const upload of store.abandonedUploads(`${prefix}/`, { signal })) {
      await store.abortAbandonedUpload(upload, { signal });
    }
    const entries = await Array.fromAsync(store.list(`${prefix}/`, { signal }));
    const keys = entries.flatMap((entry) => (entry.kind === "object" ? [entry.key] : []));
    if (keys.length > 0) await store.delete(keys, { signal });
    return [];
  } catch (error) {
    return [
      {
        topic,
        verdict: "warn",
        text: `what was written for this check may still be there: ${describeError(error)}`,
        hint: `Remove everything below "${prefix}/" in ${store.url}.`,
      },
    ];
  }
}
