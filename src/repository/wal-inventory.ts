import type { CodecName } from "../codec/codec.ts";
import { splitCodecExtension } from "../codec/codecs.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { parseWalFileName, type WalFileName, type WalSegmentName } from "../postgres/wal-file-name.ts";
import type { ListEntry, ObjectInfo } from "../storage/object-store.ts";
import { walPrefix } from "./keys.ts";
import type { Repository } from "./repository.ts";

/** One stored WAL file. */
export interface WalObject {
  readonly file: WalFileName;
  readonly key: string;
  readonly codec: CodecName;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** What a repository's `wals/` holds. */
export interface WalInventory {
  readonly segments: ReadonlyMap<WalSegmentName, WalObject>;
  readonly partials: ReadonlyMap<WalSegmentName, WalObject>;
  readonly histories: ReadonlyMap<TimelineId, WalObject>;
}

/** Lists all of `wals/`: one request per thousand objects. */
export async function readWalInventory(repository: Repository, signal?: AbortSignal): Promise<WalInventory> {
  const segments = new Map<WalSegmentName, WalObject>();
  const partials = new Map<WalSegmentName, WalObject>();
  const histories = new Map<TimelineId, WalObject>();
  for await (const entry of repository.store.list(walPrefix(repository.server), signal ? { signal } : {})) {
    const object = parseWalObject(entry);
    if (object === undefined) continue;
    const { file } = object;
    if (file.kind === "segment") keepBetter(segments, file.segment, object);
    else if (file.kind === "partial") keepBetter(partials, file.segment, object);
    else if (file.kind === "history") keepBetter(histories, file.timeline, object);
  }
  return { segments, partials, histories };
}

/**
 * Reads a listed key as a WAL file, or undefined for anything else: junk, side objects, and WAL in a place where nobody
 * fetches it from (a copy someone made), which is neither to be planned with nor to be pruned.
 */
export function parseWalObject(entry: ListEntry): WalObject | undefined {
  if (entry.kind !== "object") return undefined;
  const name = entry.key.slice(entry.key.lastIndexOf("/") + 1);
  const { stem, codec } = splitCodecExtension(name);
  const file = parseWalFileName(stem);
  if (file === undefined) return undefined;
  const place = file.kind === "history" ? "wals/" : `wals/${file.segment.slice(0, 16)}/`;
  return `/${entry.key}`.endsWith(`/${place}${name}`) ? walObject(file, codec.name, entry) : undefined;
}

export function walObject(file: WalFileName, codec: CodecName, info: ObjectInfo): WalObject {
  return { file, codec, key: info.key, sizeBytes: info.sizeBytes, modifiedAt: info.modifiedAt };
}

/** The same name may exist under two extensions (Barman allows it); the larger object is the likelier whole one. */
function keepBetter<K>(map: Map<K, WalObject>, key: K, object: WalObject): void {
  const other = map.get(key);
  if (other === undefined || object.sizeBytes > other.sizeBytes) map.set(key, object);
}
