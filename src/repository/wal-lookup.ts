import type { CodecName } from "../codec/codec.ts";
import { codecNamed } from "../codec/codecs.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import { walKey } from "./keys.ts";
import type { Repository } from "./repository.ts";
import { parseWalObject, walObject, type WalObject } from "./wal-inventory.ts";

/**
 * The objects that hold one WAL file, the likeliest whole one first (the largest, as all were the same content once).
 * One listing; it answers for every extension at once, and for certain: an empty result means absent.
 */
export async function findWalObjects(
  repository: Repository,
  file: WalFileName,
  signal?: AbortSignal,
): Promise<WalObject[]> {
  const found: WalObject[] = [];
  for await (const entry of repository.store.list(
    walKey(repository.server, file),
    signal ? { signal } : {},
  )) {
    const object = parseWalObject(entry);
    // The prefix also matches `.partial` and label files of the same segment.
    if (object?.file.name === file.name) found.push(object);
  }
  return found.sort((a, b) => b.sizeBytes - a.sizeBytes);
}

/** Asks for one WAL file under one codec only: one cheap request for the ordinary case of one codec per repository. */
export async function headWalObject(
  repository: Repository,
  file: WalFileName,
  codec: CodecName,
  signal?: AbortSignal,
): Promise<WalObject | undefined> {
  const key = `${walKey(repository.server, file)}${codecNamed(codec).extension}`;
  const info = await repository.store.head(key, signal ? { signal } : {});
  return info === undefined ? undefined : walObject(file, codec, info);
}
