import { open } from "node:fs/promises";
import { EngineError, describeError, fileError, isEngineError, systemErrorCode } from "../common/errors.ts";
import type { CodecName } from "../codec/codec.ts";
import type { Repository } from "../repository/repository.ts";
import { consumeWalObject } from "../repository/wal-stream.ts";
import type { WalFacts } from "./wal-facts.ts";

/**
 * Reads a stored WAL file back and compares it byte by byte with the local one. Returns when they are the same. Throws
 * `wal-conflict` saying where they differ, or that the stored object is damaged; `store-unavailable` when the object
 * went away in the meantime; `wal-timeout` when the local file did: another repository had it, it was acknowledged, and
 * PostgreSQL may have removed it or have begun to write another segment into it.
 */
export async function requireSameContent(
  repository: Repository,
  stored: { readonly key: string; readonly codec: CodecName },
  local: WalFacts,
  signal?: AbortSignal,
): Promise<void> {
  const where = `${repository.store.url}/${stored.key}`;
  let difference: Difference | undefined;
  try {
    const compared = await consumeWalObject(
      repository,
      stored,
      async (content) => firstDifference(content, local),
      signal,
    );
    if (compared === undefined) {
      throw new EngineError(
        "store-unavailable",
        `could not compare WAL file "${local.file.name}" with "${where}": the object was there and is gone`,
      );
    }
    difference = compared.result;
  } catch (error) {
    if (!isEngineError(error, "object-corrupt")) throw error;
    throw new EngineError(
      "wal-conflict",
      `refused WAL file "${local.file.name}": "${where}" exists and is damaged (${describeError(error)})`,
      {
        cause: error,
        hint: "Nothing is ever overwritten. Move the damaged object away by hand; the next attempt stores the good file.",
        details: { segment: local.file.name, key: stored.key },
      },
    );
  }
  if (difference === undefined) return;
  throw new EngineError(
    "wal-conflict",
    `refused WAL file "${local.file.name}": "${where}" exists with other content, ${describe(difference, local.sizeBytes)}`,
    {
      hint: "Two servers write to one archive, or a restored server goes on under the name of the old one. Give each its own server name.",
      details: { segment: local.file.name, key: stored.key, ...difference },
    },
  );
}

interface Difference {
  /** The first byte that differs; undefined when one is the beginning of the other. */
  readonly offset: number | undefined;
  readonly storedBytes: number;
}

function describe(difference: Difference, localBytes: number): string {
  const sizes = `stored ${difference.storedBytes} bytes, here ${localBytes}`;
  return difference.offset === undefined ? sizes : `different from byte ${difference.offset} on (${sizes})`;
}

async function firstDifference(
  content: AsyncIterable<Uint8Array>,
  local: WalFacts,
): Promise<Difference | undefined> {
  const handle = await open(local.path, "r").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") throw goneError(local);
    throw fileError("read", local.path, error);
  });
  try {
    let storedBytes = 0;
    let offset: number | undefined;
    // Read to the end even after a difference: damage further on must be told from other content.
    for await (const chunk of content) {
      if (offset === undefined) {
        const ours = Buffer.allocUnsafeSlow(chunk.length);
        const { bytesRead } = await handle.read(ours, 0, chunk.length, storedBytes);
        const at = differsAt(chunk, ours.subarray(0, bytesRead));
        if (at !== undefined) offset = storedBytes + at;
      }
      storedBytes += chunk.length;
    }
    const { size, mtimeNs } = await handle.stat({ bigint: true });
    if (mtimeNs !== local.mtimeNs || Number(size) !== local.sizeBytes) throw goneError(local);
    const isSame = offset === undefined && storedBytes === local.sizeBytes;
    return isSame ? undefined : { offset, storedBytes };
  } finally {
    await handle.close();
  }
}

function goneError({ file }: WalFacts): EngineError {
  return new EngineError(
    "wal-timeout",
    `WAL file "${file.name}" changed or went away before it was compared with the stored one`,
    { details: { segment: file.name } },
  );
}

function differsAt(stored: Uint8Array, ours: Buffer): number | undefined {
  const common = Math.min(stored.length, ours.length);
  if (ours.subarray(0, common).compare(stored, 0, common) === 0) return undefined;
  for (let at = 0; at < common; at++) if (stored[at] !== ours[at]) return at;
  return undefined;
}
