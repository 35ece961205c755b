import { EngineError } from "../common/errors.ts";
import { formatBytes } from "../common/units.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/**
 * Reads a small object as text, or undefined when there is none. Throws `object-corrupt` when it is larger than
 * `limitBytes`: metadata of ours and of Barman is small, so anything larger is not what it claims to be.
 */
export async function readSmallObject(
  store: ObjectStore,
  key: string,
  options: { readonly limitBytes: number; readonly signal?: AbortSignal },
): Promise<string | undefined> {
  const object = await store.get(key, options.signal === undefined ? {} : { signal: options.signal });
  if (object === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of object.body) {
    sizeBytes += chunk.length;
    if (sizeBytes > options.limitBytes) {
      throw new EngineError(
        "object-corrupt",
        `"${store.url}/${key}" is larger than ${formatBytes(options.limitBytes)}`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
