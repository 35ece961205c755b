import { EngineError } from "../common/errors.ts";
import { formatBytes } from "../common/units.ts";
import { describeRepository, type Repository } from "./repository.ts";
import type { WalObject } from "./wal-inventory.ts";
import { consumeWalObject } from "./wal-stream.ts";

/**
 * The decoded content of one stored WAL file, in memory. Throws `object-missing` when it is gone since it was listed,
 * and `object-corrupt` when it cannot be decoded or has more than `maxBytes`.
 */
export async function readWalObject(
  repository: Repository,
  object: WalObject,
  options: { readonly maxBytes: number; readonly signal?: AbortSignal | undefined },
): Promise<Buffer> {
  const { maxBytes, signal } = options;
  const gather = async (content: AsyncIterable<Uint8Array>): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of content) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        throw new EngineError("object-corrupt", `it has more than ${formatBytes(maxBytes)}`);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };
  const read = await consumeWalObject(repository, object, gather, signal);
  if (read !== undefined) return read.result;
  throw new EngineError(
    "object-missing",
    `"${object.key}" was listed in "${describeRepository(repository)}" but is not there`,
  );
}
