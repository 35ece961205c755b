import { pipeline } from "node:stream/promises";
import type { CodecName } from "../codec/codec.ts";
import { codecNamed } from "../codec/codecs.ts";
import { throwIfAborted } from "../common/abort.ts";
import { isEngineError } from "../common/errors.ts";
import { systemIdentifier, type SystemIdentifier } from "../postgres/system-identifier.ts";
import { parseWalPageHeader, walLongHeaderBytes } from "../postgres/wal-page-header.ts";
import { isBackupId, type BackupId } from "./backup-id.ts";
import { readCatalogueEntry } from "./catalogue.ts";
import { basePrefix, walPrefix } from "./keys.ts";
import type { Repository } from "./repository.ts";
import { parseWalObject, type WalObject } from "./wal-inventory.ts";

/** What a repository without an identity says about who wrote it (Barman, or a Tidemark whose identity was lost). */
export interface ForeignContent {
  /** From the newest backup that names its system, and from the first and last WAL segment that can be read. */
  readonly systems: readonly {
    readonly systemIdentifier: SystemIdentifier;
    readonly walSegmentSizeBytes?: number;
  }[];
  /** Codecs of the WAL that is there. */
  readonly walCodecs: readonly CodecName[];
  /** A segment that is there and could not be read as WAL. */
  readonly unknownWal: string | undefined;
}

/** Looks once at everything; a repository is asked this only before its first use. */
export async function foreignContent(repository: Repository, signal?: AbortSignal): Promise<ForeignContent> {
  const fromBackup = await systemOfNewestBackup(repository, signal);
  const { first, last, walCodecs } = await surveyWal(repository, signal);
  const systems: ForeignContent["systems"][number][] =
    fromBackup === undefined ? [] : [{ systemIdentifier: fromBackup }];
  let unknownWal: string | undefined;
  for (const segment of new Set([first, last])) {
    if (segment === undefined) continue;
    const system = await systemOfSegment(repository, segment, signal);
    if (system === undefined) unknownWal ??= segment.key;
    else systems.push(system);
  }
  return { systems, walCodecs, unknownWal };
}

async function systemOfNewestBackup(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<SystemIdentifier | undefined> {
  const ids: BackupId[] = [];
  const prefix = basePrefix(repository.server);
  for await (const entry of repository.store.list(prefix, {
    delimiter: "/",
    ...(signal ? { signal } : {}),
  })) {
    const step = entry.kind === "prefix" ? entry.prefix.slice(prefix.length, -1) : "";
    if (isBackupId(step)) ids.push(step);
  }
  for (const id of ids.reverse()) {
    const entry = await readCatalogueEntry(repository, id, signal);
    if ((entry.kind === "done" || entry.kind === "failed") && entry.info.systemIdentifier !== undefined) {
      return entry.info.systemIdentifier;
    }
  }
  return undefined;
}

async function surveyWal(repository: Repository, signal: AbortSignal | undefined) {
  let first: WalObject | undefined;
  let last: WalObject | undefined;
  const walCodecs = new Set<CodecName>();
  for await (const entry of repository.store.list(walPrefix(repository.server), signal ? { signal } : {})) {
    const object = parseWalObject(entry);
    if (object === undefined) continue;
    walCodecs.add(object.codec);
    if (object.file.kind !== "segment") continue;
    first ??= object;
    last = object;
  }
  return { first, last, walCodecs: [...walCodecs] };
}

/** Reads as much of a segment as its header takes; undefined when it is damaged, or not WAL of a known version. */
async function systemOfSegment(
  repository: Repository,
  segment: WalObject,
  signal: AbortSignal | undefined,
): Promise<ForeignContent["systems"][number] | undefined> {
  const object = await repository.store.get(segment.key, signal ? { signal } : {});
  if (object === undefined) return undefined;
  const head = Buffer.alloc(walLongHeaderBytes);
  let filled = 0;
  try {
    const decoder = codecNamed(segment.codec).createDecoder();
    await pipeline(object.body, decoder, async (decoded: AsyncIterable<Buffer>) => {
      for await (const chunk of decoded) {
        filled += chunk.copy(head, filled);
        if (filled === head.length) return;
      }
    });
  } catch (error) {
    throwIfAborted(signal);
    // Leaving early breaks the pipeline, which is no failure; damage means that this segment cannot tell.
    if (filled < head.length && isEngineError(error) && error.code !== "object-corrupt") throw error;
  }
  const header = filled === head.length ? parseWalPageHeader(head) : undefined;
  if (header === undefined || header.systemIdentifier === 0n) return undefined;
  return {
    systemIdentifier: systemIdentifier(header.systemIdentifier),
    walSegmentSizeBytes: header.segmentSizeBytes,
  };
}
