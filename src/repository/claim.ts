import type { CodecName } from "../codec/codec.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { formatSystemIdentifier, type SystemIdentifier } from "../postgres/system-identifier.ts";
import { requireNotClaimedBefore } from "./claimed-before.ts";
import { foreignContent } from "./claim-content.ts";
import { readIdentity, requireSameSystem, writeIdentity, type RepositoryIdentity } from "./identity.ts";
import { describeRepository, type Repository } from "./repository.ts";

/** Who wants to write into a repository. */
export interface RepositoryClaim {
  readonly systemIdentifier: SystemIdentifier;
  readonly walSegmentSizeBytes: number;
  /** The codec WAL is about to be stored with; left out by those who write none. */
  readonly walCodec?: CodecName;
}

/** Each round follows another process' write, and few processes write to one repository. */
const maxRounds = 10;

/**
 * Makes sure that a repository belongs to this PostgreSQL system, before anything is written to it, and returns its
 * identity. A repository without one is claimed: by what it already holds (a Barman archive is taken over only by the
 * system that wrote it), else by being first. Repeating it is harmless and costs one read.
 *
 * An empty repository that this machine has claimed before (`claim-note.ts`) is not claimed anew: it is the mount point
 * of a disk that is not there, and what went into it would be hidden by the next mount.
 *
 * A crash leaves either no identity, or a true one: it is one object, written whole, and never for another system.
 *
 * @throws EngineError `system-mismatch` when it is another system's, or when nobody can tell whose its WAL is;
 * `store-missing` when it is empty and was not when it was claimed.
 */
export async function claimRepository(
  repository: Repository,
  claim: RepositoryClaim,
  signal?: AbortSignal,
): Promise<RepositoryIdentity> {
  for (let round = 0; round < maxRounds; round++) {
    const stored = await readIdentity(repository, signal);
    if (stored !== undefined) {
      requireSameSystem(repository, stored, claim);
      if (claim.walCodec === undefined || stored.walCodecs.includes(claim.walCodec)) {
        await remember(repository, claim);
        return stored;
      }
    }
    const wanted = stored === undefined ? await newIdentity(repository, claim, signal) : stored;
    const walCodecs = withCodec(wanted.walCodecs, claim.walCodec);
    try {
      await writeIdentity(
        repository,
        { ...wanted, walCodecs },
        { ifAbsent: stored === undefined, ...(signal ? { signal } : {}) },
      );
    } catch (error) {
      // Someone was first: the next round compares with what they wrote.
      if (!isEngineError(error, "object-exists")) throw error;
    }
    // Not returned but read back: a store without conditional writes may have let another claim win.
  }
  throw new EngineError(
    "locked",
    `could not claim repository "${describeRepository(repository)}": its identity was changed ${maxRounds} times meanwhile`,
    {
      hint: "Do several servers, or agents with different settings, write to this repository? Let only one.",
    },
  );
}

async function newIdentity(
  repository: Repository,
  claim: RepositoryClaim,
  signal: AbortSignal | undefined,
): Promise<RepositoryIdentity> {
  const content = await foreignContent(repository, signal);
  for (const system of content.systems) requireSameSystem(repository, system, claim);
  if (content.systems.length === 0 && content.unknownWal !== undefined) {
    throw new EngineError(
      "system-mismatch",
      `repository "${describeRepository(repository)}" holds WAL that does not say which PostgreSQL system wrote it ("${content.unknownWal}")`,
      {
        hint: "If it is not of this server, give the server a name of its own (--server); if it is, look why the object cannot be read.",
      },
    );
  }
  if (content.systems.length === 0) await requireNotClaimedBefore(repository, "identity");
  if (content.systems.length > 0) {
    repository.log.info("took over an archive that this system wrote with another tool", {
      repository: repository.name,
    });
  }
  const { systemIdentifier, walSegmentSizeBytes } = claim;
  return { systemIdentifier, walSegmentSizeBytes, walCodecs: content.walCodecs };
}

/**
 * Before anything is acknowledged that is in the repository. A note that cannot be written (no space, no permission) must
 * not stop archiving, of which the full disk may be waiting: then only a missed mount goes unnoticed.
 */
async function remember(repository: Repository, claim: RepositoryClaim): Promise<void> {
  const { claimNote, log } = repository;
  if (claimNote === undefined || (await claimNote.exists())) return;
  try {
    await claimNote.write({
      repository: repository.name,
      url: repository.store.url,
      server: repository.server,
      systemIdentifier: formatSystemIdentifier(claim.systemIdentifier),
    });
  } catch (error) {
    log.warn(
      "could not note that this repository is claimed: a disk that is not mounted would go unnoticed",
      {
        repository: repository.name,
        error: describeError(error),
      },
    );
  }
}

function withCodec(codecs: readonly CodecName[], codec: CodecName | undefined): readonly CodecName[] {
  return codec === undefined || codecs.includes(codec) ? codecs : [...codecs, codec];
}
