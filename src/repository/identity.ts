import { z } from "zod";
import { EngineError } from "../common/errors.ts";
import { codecNames, type CodecName } from "../codec/codec.ts";
import {
  formatSystemIdentifier,
  parseSystemIdentifier,
  type SystemIdentifier,
} from "../postgres/system-identifier.ts";
import { identityKey } from "./keys.ts";
import { readSmallObject } from "./read-object.ts";
import { describeRepository, type Repository } from "./repository.ts";

/**
 * The identity object (`x-tidemark/repository.json`) ties a repository to one PostgreSQL system. It is written before
 * the first WAL segment and never changes, but for the list of codecs that WAL has been stored with: a name must not
 * exist twice under two extensions, and this list says which to look for.
 */
export interface RepositoryIdentity {
  readonly systemIdentifier: SystemIdentifier;
  readonly walSegmentSizeBytes: number;
  readonly walCodecs: readonly CodecName[];
}

const schema = z.object({
  format: z.literal(1),
  systemIdentifier: z.string().regex(/^\d{1,20}$/),
  walSegmentSizeBytes: z.number().int().positive(),
  walCodecs: z.array(z.enum(codecNames)),
});

const limitBytes = 64 * 1024;

/** The identity, or undefined when the repository has none (it is new, or Barman's). Throws `object-corrupt`. */
export async function readIdentity(
  repository: Repository,
  signal?: AbortSignal,
): Promise<RepositoryIdentity | undefined> {
  const key = identityKey(repository.server);
  const text = await readSmallObject(repository.store, key, { limitBytes, ...(signal ? { signal } : {}) });
  if (text === undefined) return undefined;
  try {
    const { systemIdentifier, walSegmentSizeBytes, walCodecs } = schema.parse(JSON.parse(text));
    return { systemIdentifier: parseSystemIdentifier(systemIdentifier), walSegmentSizeBytes, walCodecs };
  } catch (cause) {
    throw new EngineError(
      "object-corrupt",
      `could not read "${repository.store.url}/${key}": it is not the identity of a repository`,
      {
        cause,
        hint: "Look at the object; if it is damaged, delete it and Tidemark writes it anew from what the repository holds.",
      },
    );
  }
}

/** Writes the identity; with `ifAbsent` it throws `object-exists` when another process was first. */
export async function writeIdentity(
  repository: Repository,
  identity: RepositoryIdentity,
  options: { readonly ifAbsent: boolean; readonly signal?: AbortSignal },
): Promise<void> {
  const text = JSON.stringify(
    {
      format: 1,
      systemIdentifier: formatSystemIdentifier(identity.systemIdentifier),
      walSegmentSizeBytes: identity.walSegmentSizeBytes,
      walCodecs: identity.walCodecs,
    },
    undefined,
    2,
  );
  await repository.store.put(identityKey(repository.server), [Buffer.from(`${text}\n`)], options);
}

/** Throws `system-mismatch` unless both are the same PostgreSQL system with the same segment size. */
export function requireSameSystem(
  repository: Repository,
  stored: { readonly systemIdentifier: SystemIdentifier; readonly walSegmentSizeBytes?: number },
  ours: { readonly systemIdentifier: SystemIdentifier; readonly walSegmentSizeBytes?: number },
): void {
  const where = describeRepository(repository);
  if (stored.systemIdentifier !== ours.systemIdentifier) {
    throw new EngineError(
      "system-mismatch",
      `repository "${where}" belongs to PostgreSQL system ${stored.systemIdentifier}, but this is system ${ours.systemIdentifier}`,
      { hint: "Is this a new cluster under an old name? Give it a server name of its own (--server)." },
    );
  }
  if (
    stored.walSegmentSizeBytes !== undefined &&
    ours.walSegmentSizeBytes !== undefined &&
    stored.walSegmentSizeBytes !== ours.walSegmentSizeBytes
  ) {
    throw new EngineError(
      "system-mismatch",
      `repository "${where}" holds WAL segments of ${stored.walSegmentSizeBytes} bytes, but this server's are ${ours.walSegmentSizeBytes} bytes`,
      { hint: "After pg_resetwal --wal-segsize the server needs a new server name (--server)." },
    );
  }
}
