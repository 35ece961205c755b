import { z } from "zod";
import { EngineError } from "../common/errors.ts";
import { signalOption } from "../common/abort.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import { walSumKey } from "./keys.ts";
import { readSmallObject } from "./read-object.ts";
import type { Repository } from "./repository.ts";

/**
 * What a WAL file stored without compression must be: a plain object has no checksum of its own. It is written *after*
 * the WAL object, by whoever wrote that object or has compared it byte by byte, so it is true whenever it exists, even
 * when two writers race with different contents. A crash between the two leaves a WAL file that nobody acknowledged;
 * PostgreSQL offers it again, and then the sum is written.
 */
export interface WalSum {
  readonly sizeBytes: number;
  /** CRC-32, the one of gzip. */
  readonly crc32: number;
}

const schema = z.object({
  format: z.literal(1),
  sizeBytes: z.number().int().nonnegative(),
  crc32: z.string().regex(/^[0-9a-f]{8}$/),
});

/** Writing the same sum again is fine. */
export async function writeWalSum(
  repository: Repository,
  file: WalFileName,
  sum: WalSum,
  signal?: AbortSignal,
): Promise<void> {
  const text = JSON.stringify({ format: 1, sizeBytes: sum.sizeBytes, crc32: formatCrc32(sum.crc32) });
  await repository.store.put(
    walSumKey(repository.server, file),
    [Buffer.from(`${text}\n`)],
    signalOption(signal),
  );
}

/** Undefined when there is none, as for files that other programs stored. Throws `object-corrupt`. */
export async function readWalSum(
  repository: Repository,
  file: WalFileName,
  signal?: AbortSignal,
): Promise<WalSum | undefined> {
  const key = walSumKey(repository.server, file);
  const text = await readSmallObject(repository.store, key, { limitBytes: 4096, ...signalOption(signal) });
  if (text === undefined) return undefined;
  try {
    const { sizeBytes, crc32 } = schema.parse(JSON.parse(text));
    return { sizeBytes, crc32: Number.parseInt(crc32, 16) };
  } catch (cause) {
    throw new EngineError(
      "object-corrupt",
      `could not read "${repository.store.url}/${key}": it is not the checksum of a WAL file`,
      {
        cause,
        hint: "Archive the WAL file again from the server, if it still has it; that writes a new one.",
      },
    );
  }
}

/** Eight lower-case hexadecimal digits. */
export function formatCrc32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
