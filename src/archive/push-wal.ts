import type { EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import type { ContentChecksum } from "./content-checksum.ts";
import type { WalEncoder } from "./encode-wal.ts";
import { LocalWal, type ExpectedSystem } from "./local-wal.ts";
import { pushLargeWal } from "./push-large-wal.ts";
import { wholeFileLimitBytes, type ReadBuffers } from "./read-buffers.ts";
import type { RepositoryClaims } from "./repository-claims.ts";
import { attempt, findTwin, storePieces, storeSum, type PushOutcome } from "./store-wal.ts";
import { missedError, WalContent } from "./wal-content.ts";

/** What pushes of one process share. */
export interface PushContext {
  readonly claims: RepositoryClaims;
  readonly buffers: ReadBuffers;
  readonly encoder: WalEncoder;
  readonly log: Log;
}

export interface PushRequest {
  readonly path: string;
  readonly file: WalFileName;
  readonly targets: readonly ArchiveTarget[];
  /** The PostgreSQL system the file must come from. */
  readonly expected: ExpectedSystem;
  readonly signal?: AbortSignal;
}

/** One WAL file on its way to its targets. */
export interface WalPush {
  readonly file: WalFileName;
  readonly sizeBytes: number;
  /** When the file was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /**
   * How each target stands, as soon as that is known; in the order of the targets. None waits for another one. They
   * reject for what is wrong with the file itself (`wal-refused`, `file-io`).
   */
  readonly outcomes: readonly Promise<PushOutcome>[];
  /** Of the file's content; to be asked before `release`, when some target has it. Rejects as the outcomes do. */
  checksum(): Promise<ContentChecksum>;
  /**
   * From its return on the file is not read any more, and PostgreSQL may recycle it. Targets under way go on from memory;
   * one that had not begun fails with `wal-timeout`. To be called in any case; calling it again is fine.
   */
  release(): Promise<void>;
}

/** What was pushed, and how each target stands. */
export interface PushReport {
  readonly file: WalFileName;
  readonly sizeBytes: number;
  /** When the file was last written, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of the file's content; undefined when every target failed. */
  readonly checksum: ContentChecksum | undefined;
  /** In the order of the targets. */
  readonly outcomes: readonly PushOutcome[];
}

/**
 * Starts to archive one WAL file in all targets at once: one read, one compression per distinct form, one request per
 * target. When an outcome is not `failed`, that repository has the whole file durably, under its name, and has had no other
 * content under it. A target's failure is an outcome; what is wrong with the file itself throws, here or from the outcomes.
 *
 * Killed anywhere, the next push finds either nothing or the same content; see `storeSum` for the one object more.
 */
export async function startPush(context: PushContext, request: PushRequest): Promise<WalPush> {
  const { file, path, expected, targets, signal } = request;
  const local = await LocalWal.open(path, file, expected);
  if (local.sizeBytes > wholeFileLimitBytes) {
    return pushLargeWal(
      local,
      targets,
      async (target) => prepare(context, target, local, expected, signal),
      signal,
    );
  }
  const content = new WalContent(context, local, targets, signal);
  const outcomes = targets.map(async (target) => {
    let isStuck = true;
    try {
      const outcome = await pushTo(context, target, { local, content, expected, signal });
      // A request that timed out on a file system that hangs goes on when that wakes up.
      isStuck = outcome.kind === "failed";
      return outcome;
    } finally {
      content.leave(target, { isStuck });
    }
  });
  // Whoever follows the push sees each; together with the first rejection nobody may be left to see the others.
  for (const outcome of outcomes) outcome.catch(() => undefined);
  return {
    file,
    sizeBytes: local.sizeBytes,
    mtimeNs: local.mtimeNs,
    outcomes,
    checksum: async () => content.checksum(),
    release: async () => content.close(),
  };
}

/** `startPush`, to its end. */
export async function pushWal(context: PushContext, request: PushRequest): Promise<PushReport> {
  const push = await startPush(context, request);
  try {
    const settled = await Promise.allSettled(push.outcomes);
    const outcomes = settled.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
    const isSomewhere = outcomes.some(({ kind }) => kind !== "failed");
    const { file, sizeBytes, mtimeNs } = push;
    return {
      file,
      sizeBytes,
      mtimeNs,
      checksum: isSomewhere ? await push.checksum() : undefined,
      outcomes,
    };
  } finally {
    await push.release();
  }
}

/** Throws the failure that matters most, when any target failed: conflicts and refusals before outages. */
export function requireAllArchived({ outcomes }: Pick<PushReport, "outcomes">): void {
  const worst = worstFailure(
    outcomes.flatMap((outcome) => (outcome.kind === "failed" ? [outcome.error] : [])),
  );
  if (worst !== undefined) throw worst;
}

/** What waiting does not help against, before what it does. */
export function worstFailure(errors: readonly EngineError[]): EngineError | undefined {
  return errors.find((error) => !error.retryable) ?? errors[0];
}

async function pushTo(
  context: PushContext,
  target: ArchiveTarget,
  given: {
    readonly local: LocalWal;
    readonly content: WalContent;
    readonly expected: ExpectedSystem;
    readonly signal: AbortSignal | undefined;
  },
): Promise<PushOutcome> {
  const { local, content, expected, signal } = given;
  const found = await prepare(context, target, local, expected, signal);
  if (found !== undefined) return found;
  if (content.isMissed) {
    return {
      kind: "failed",
      repository: target.repository.name,
      error: missedError(target, local.file.name),
    };
  }
  const pieces = await content.piecesFor(target);
  const crc32 = await content.crc32();
  faultPoint("archive:before-store");
  const outcome = await attempt(target, async () => {
    const stored = await storePieces(target, local, pieces, signal);
    if (crc32 !== undefined) await storeSum(target, local, crc32, signal);
    return stored;
  });
  faultPoint("archive:after-store");
  return outcome;
}

/** Claims the repository and looks for the file under other codecs: an outcome when nothing is left to store. */
async function prepare(
  context: PushContext,
  target: ArchiveTarget,
  local: LocalWal,
  expected: ExpectedSystem,
  signal: AbortSignal | undefined,
): Promise<PushOutcome | undefined> {
  let isFound = false;
  const tried = await attempt(target, async () => {
    const identity = await context.claims.claim(target.repository, expected, target.codec, signal);
    const twin = await findTwin(target, identity, local, signal);
    isFound = twin !== undefined;
    return twin ?? { kind: "already-archived", repository: target.repository.name };
  });
  return tried.kind === "failed" || isFound ? tried : undefined;
}
